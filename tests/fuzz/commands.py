"""The commands in this process, held to what is documented: exit code 0, 1 or 2, clean words, no inner exception."""

import io
import json
import logging
import re
import time
import unicodedata
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from evals.command import main as run_evals
from sam3agent.cli.app import app, guarded
from sam3model.printable import PrintableFormatter

_INNER = re.compile(
    r"Traceback|ExceptionGroup|--verbose for details|unexpected (?:error|failure)|object at 0x|<class '"
)
"""Words that only an exception which nobody expected leaves on a screen."""


@dataclass(frozen=True)
class Ended:
    """What a command left."""

    code: int
    out: str
    err: str


def sam3agent(*arguments: str, codes: tuple[int, ...] = (0, 1, 2)) -> Ended:
    """`sam3agent` with these arguments; fails if it ends in another way than documented."""

    def run() -> Any:
        return app(args=list(arguments), prog_name="sam3agent", standalone_mode=False, obj=time.monotonic())

    ended = _captured(lambda: guarded(run))
    if ended.code == 0 and "--json" in arguments:
        for line in ended.out.splitlines():
            json.loads(line)
    return checked(ended, codes)


def evals(*arguments: str, codes: tuple[int, ...] = (0, 1, 2), **models: Any) -> Ended:
    """`python -m evals` with these arguments; fails if it ends in another way than documented."""
    return checked(_captured(lambda: run_evals(arguments, **models)), codes)


def checked(ended: Ended, codes: tuple[int, ...] = (0, 1, 2)) -> Ended:
    """The end of a command, which is one of those that are documented."""
    shown = ended.out + ended.err
    assert ended.code in codes, shown
    assert not _INNER.search(shown), shown
    assert all(map(harmless, shown)), ascii(shown)
    assert ended.code == 0 or shown.strip(), "it failed without a word"
    assert max(map(len, ended.err.splitlines()), default=0) < 2000, shown
    return ended


def harmless(character: str) -> bool:
    """Whether a terminal shows a character as such: it steers nothing, reverses nothing, and can be encoded."""
    if character in "\n\t":
        return True
    marks = "\u200e\u200f\u061c"
    embeds = unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") and not embeds and character not in marks


def _captured(run: Any) -> Ended:
    out, err = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(err)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    root = logging.getLogger()
    before, root.handlers = root.handlers, [handler]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = run()
    finally:
        root.handlers = before
    return Ended(code, out.getvalue(), err.getvalue())
