"""Paths as people and models write them: quoted, `~`, `file:` addresses, Windows paths, data URIs, `sam3://` names."""

import base64
import binascii
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from sam3model.errors import InputError
from sam3model.untrusted import clean_line

ACCEPTED = (
    "give the path of an image or clip (absolute, relative to a folder that may be read, with ~, or as a file: "
    "address), a data: URI with an image, or a sam3:// name from an earlier reply"
)
"""What can be given, for error messages."""

RESULTS = "sam3://results/"
"""Beginning of the addresses of result files; the rest is the path below the output folder."""

MAX_LENGTH = 4096
"""Maximum length of a path in characters."""

_DRIVE = re.compile(r"/?([A-Za-z]):[\\/](.*)", re.DOTALL)
_WSL = re.compile(r"[\\/]{2}wsl(?:\.localhost|\$)[\\/][^\\/]+[\\/](.*)", re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


@dataclass(frozen=True, slots=True)
class PastedImage:
    """The bytes of an image that came as a data URI."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ResultName:
    """A file of the output folder, by its path below it."""

    path: str


def read_path(text: str, *, windows: bool = sys.platform == "win32") -> "Path | PastedImage | ResultName":
    """What a written path means, without looking at the disk.

    windows: whether the server runs on Windows; elsewhere, drives are looked for where WSL mounts them.

    Raises `InputError`, which says what is accepted, if it cannot be a path.
    """
    text = text.strip()
    if text[:5].lower() == "data:":
        return PastedImage(_data_uri(text))
    text = text.strip("\"'`<>").strip() if text[:1] in "\"'`<" else text
    if not text or "\x00" in text or len(text) > MAX_LENGTH:
        raise InputError(f"{clean_line(repr(text), 80)} is not a usable path: {ACCEPTED}")
    if text.startswith(RESULTS):
        return ResultName(unquote(text.removeprefix(RESULTS)))
    if text[:5].lower() == "file:":
        text = _file_address(text)
    elif not _DRIVE.fullmatch(text) and (scheme := _SCHEME.match(text)) and text[scheme.end() :][:2] == "//":
        raise InputError(f"{scheme[1]}: addresses are not read ({clean_line(text, 80)}): {ACCEPTED}")
    return _expanded(text if windows else _from_windows(text))


def as_slashes(path: Path) -> Path:
    """A relative path with backslashes as one with slashes, for servers that do not run on Windows."""
    return Path(str(path).replace("\\", "/"))


def _file_address(text: str) -> str:
    """The path of a `file:` address. Raises `InputError` if it is on another machine."""
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise InputError(f"{clean_line(text, 80)} is not a usable path: {ACCEPTED}") from error
    path = unquote(parts.path)
    if re.fullmatch(r"[A-Za-z]:", parts.netloc):  # file://C:/…, which many programs write
        return parts.netloc + path
    if parts.netloc.lower() not in ("", "localhost"):
        wsl = f"//{unquote(parts.netloc)}{path}"
        if _WSL.fullmatch(wsl):
            return wsl
        raise InputError(f"{clean_line(text, 80)} is a file of another machine, which is not read: {ACCEPTED}")
    drive = _DRIVE.fullmatch(path)
    return f"{drive[1]}:/{drive[2]}" if drive else path


def _from_windows(text: str) -> str:
    """A Windows path as WSL has it; any other path unchanged. Raises `InputError` for shares."""
    if inside := _WSL.fullmatch(text):
        return "/" + inside[1].replace("\\", "/")
    if drive := _DRIVE.fullmatch(text):
        mounted = Path("/mnt") / drive[1].lower()
        if not mounted.is_dir():
            raise InputError(
                f"{clean_line(text, 80)} is a Windows path, but this server runs on {sys.platform} and sees no drive "
                f"{drive[1].upper()}: give the path as this system has it"
            )
        return str(mounted / drive[2].replace("\\", "/"))
    if text.startswith("\\\\"):
        raise InputError(f"{clean_line(text, 80)} is a Windows share, which is not read: {ACCEPTED}")
    return text


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise InputError(f"{clean_line(text, 80)} is in the home of an unknown user: {ACCEPTED}") from error


def _data_uri(text: str) -> bytes:
    """The bytes of a data URI. Raises `InputError` if it is damaged or empty."""
    head, comma, body = text.partition(",")
    try:
        if head.lower().endswith(";base64"):
            body = re.sub(r"\s+", "", unquote(body)).replace("-", "+").replace("_", "/")
            data = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
        else:
            data = unquote_to_bytes(body)
    except (binascii.Error, ValueError) as error:
        raise InputError("the data: URI is damaged: its base64 cannot be decoded") from error
    if not comma or not data:
        raise InputError("the data: URI holds no image: write data:image/png;base64,…")
    return data
