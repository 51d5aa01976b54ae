"""The code of a Markdown document: fenced blocks, the commands in them with the output shown, and tables."""

import re
from dataclasses import dataclass
from pathlib import Path

SHELLS = ("bash", "sh", "console")
_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"\s+#\s+(.*)$")
_ENDS = re.compile(r"exits? with (\d+)")


@dataclass(frozen=True)
class Block:
    """A fenced block. line: of its first line in the document, from 1."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Command:
    """A command of a shell block, without its comment.

    code: the exit code that its comment announces ("exits with 2"), else 0. shown: the lines of output under it.
    """

    text: str
    line: int
    code: int = 0
    shown: tuple[str, ...] = ()


def blocks(document: Path) -> list[Block]:
    """The fenced blocks of a document, without the indentation of a list."""
    text = document.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        indent = len(match[1])
        body = "".join(line[indent:] if line.strip() else line for line in match[3].splitlines(keepends=True))
        found.append(Block(match[2], body, text.count("\n", 0, match.start(3)) + 1))
    return found


def commands(document: Path) -> list[Command]:
    """The commands of all shell blocks. In a console block, they begin with "$ " and the rest is output."""
    found: list[Command] = []
    for block in blocks(document):
        if block.language not in SHELLS:
            continue
        console, open_line = block.language == "console", ""
        for number, line in enumerate(block.text.splitlines(), start=block.line):
            if console and not line.startswith("$ ") and not open_line:
                if line.strip() and found:
                    last = found.pop()
                    found.append(Command(last.text, last.line, last.code, (*last.shown, line)))
                continue
            whole = open_line + line.removeprefix("$ ").strip()
            if whole.endswith("\\"):
                open_line = whole[:-1]
                continue
            open_line = ""
            if whole and not whole.startswith("#"):
                found.append(_command(whole, number))
    return found


def _command(text: str, line: int) -> Command:
    comment = _COMMENT.search(text)
    ends = _ENDS.search(comment[1]) if comment else None
    return Command(_COMMENT.sub("", text), line, int(ends[1]) if ends else 0)


def table_keys(document: Path, heading: str) -> set[str]:
    """The names in the first columns of the tables under a heading, which are written as code."""
    keys: set[str] = set()
    inside = False
    for line in document.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            inside = line.lstrip("# ").strip() == heading
        elif inside and line.startswith("| `"):
            keys.update(re.findall(r"`([^`]+)`", line.split("|")[1]))
    assert keys, f"{document.name} has no table under the heading {heading!r}"
    return keys
