"""Result files as MCP resources, `sam3://results/…`, which can be listed and read in parts."""

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from sam3agent.servers.result_files import MAX_PART, ResultFile, ResultFolder
from sam3agent.servers.written_paths import RESULTS
from sam3model.errors import InputError, Sam3Error

if TYPE_CHECKING:
    from mcp.server.lowlevel.helper_types import ReadResourceContents
    from mcp.types import Resource, ResourceTemplate

TEMPLATE = RESULTS + "{+path}{?offset,length}"


def resource_list(results: ResultFolder) -> "list[Resource]":
    """The result files, the newest first."""
    from mcp.types import Resource

    return [
        Resource(uri=found.address, name=found.path.name, size=found.size, mime_type=found.media_type)
        for found in results.listed()
    ]


def resource_template() -> "ResourceTemplate":
    """How to read a result, or a part of it."""
    from mcp.types import ResourceTemplate

    return ResourceTemplate(
        uri_template=TEMPLATE,
        name="result",
        description=(
            "A result file: overlay.png, masks.json (COCO), trace.jsonl. A large one is read in parts of at most "
            f"{MAX_PART} bytes with offset and length."
        ),
    )


def read_result(results: ResultFolder, address: str) -> "ReadResourceContents":
    """A result file, or the part that `?offset=…&length=…` asks for.

    Raises the SDK's `ResourceError` with a sentence if there is none, or it is too large to be sent whole.
    """
    from mcp.server.lowlevel.helper_types import ReadResourceContents
    from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

    try:
        name, offset, length = _parts(address)
        data, found = results.read(name, offset or 0, MAX_PART if length is None else length)
        if length is None and offset is None and found.size > len(data):
            raise InputError(
                f"{address} has {found.size} bytes: read it in parts of at most {MAX_PART}, "
                f"{found.address}?offset=0&length={MAX_PART}"
            )
    except Sam3Error as error:
        kind = ResourceNotFoundError if "there is no" in str(error) else ResourceError
        raise kind(str(error)) from error
    return ReadResourceContents(content=_as_text(data, found), mime_type=found.media_type, meta=_place(found, offset))


def _parts(address: str) -> tuple[str, int | None, int | None]:
    """Name, offset and length of an address. Raises `InputError` if they cannot be."""
    parts = urlsplit(address)
    given = parse_qs(parts.query)
    numbers = list[int | None]()
    for key in ("offset", "length"):
        text = given.get(key, [""])[-1]
        if text and not (text.isascii() and text.isdigit() and len(text) < 16):
            raise InputError(f"{key} must be a number of bytes, not {text[:40]!r}")
        numbers.append(int(text) if text else None)
    return unquote(parts.path.lstrip("/")), numbers[0], numbers[1]


def _as_text(data: bytes, found: ResultFile) -> str | bytes:
    """Text of text files; a part may begin or end inside a character, and is then sent as bytes."""
    if "json" not in found.media_type:
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _place(found: ResultFile, offset: int | None) -> dict[str, Any]:
    return {"size": found.size, "offset": offset or 0}
