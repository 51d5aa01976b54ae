"""What the user sees: status lines on stderr while work goes on, the result on stdout."""

import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sam3agent.answer import Answer, SelectedMask, SelectionFiles, fresh_folder, make_folder
from sam3agent.downloads import source_stem
from sam3agent.folder_lock import locked
from sam3model.errors import OutputError
from sam3model.printable import PrintableFormatter, one_line, printable, printable_json

MAX_MASK_LINES = 20
"""Number of masks that are listed one by one."""


def configure_logging(verbose: bool) -> None:
    """Log to stderr: warnings, or everything with --verbose."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(PrintableFormatter("%(message)s"))


class Status:
    """Status lines on stderr: one line rewritten in a terminal, else one line each, none if `quiet`."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._live = sys.stderr.isatty() and not quiet and not verbose
        self._verbose = verbose
        self._plain = verbose or (not quiet and not self._live)
        self._started = time.monotonic()

    def tell(self, text: str) -> None:
        """Show a line."""
        if self._plain:
            sys.stderr.write(f"[{time.monotonic() - self._started:6.2f} s] {one_line(text)}\n")
        elif self._live:
            sys.stderr.write(f"\r\x1b[2K{one_line(text)[:110]}")
        sys.stderr.flush()

    def detail(self, text: str) -> None:
        """Show a line about a part of what the last line said: not in a log without --verbose."""
        if self._live or self._verbose:
            self.tell(text)

    def done(self) -> None:
        """Clear the live line."""
        if self._live:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def say(text: str) -> None:
    """Print a line of the result."""
    _write(printable(text))


def say_json(value: Any) -> None:
    """Print one JSON object on a line, in ASCII if standard output is not Unicode."""
    _write(printable_json(value, ascii_only="utf" not in (sys.stdout.encoding or "").lower()))


def warn(text: str) -> None:
    """Print a line on stderr that is neither progress nor an error."""
    sys.stderr.write(f"{one_line(text)}\n")


def _write(line: str) -> None:
    """Raises `OutputError` if standard output is full or gone."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop_output()
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error


def _drop_output() -> None:
    """Point standard output nowhere, so that what is left in its buffer does not fail again at exit."""
    with suppress(OSError, ValueError), Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def say_answer(answer: Answer) -> None:
    """Print an answer for people."""
    masks, costs = counted(len(answer.masks), "mask"), answer.costs
    head = {
        "answered": masks,
        "no_match": "no match",
        "not_understood": "not understood",
        "exhausted": f"no final answer; best so far: {masks}",
    }[answer.status]
    say(f"{head}: {one_line(answer.reason)}" if answer.reason else head)
    say_masks(answer.masks, on_clip=answer.selection.media.count > 1)
    for line in answer.absence.lines() if answer.absence else ():
        say(f"  {one_line(line)}")
    say_warnings(answer.warnings)
    calls = f"{counted(costs.segmenter_calls, 'search', 'es')}, {counted(costs.mllm_calls, 'MLLM call')}"
    tokens = f" ({costs.usage.prompt_tokens + costs.usage.completion_tokens} tokens)" if costs.mllm_calls else ""
    say(
        f"{counted(costs.steps, 'step')}, {calls}{tokens}, {costs.elapsed_s:.2f} s, {answer.weights} + {answer.backend}"
    )
    say_files(answer.selection.files)
    if answer.trace_path:
        say(f"trace   {answer.trace_path}")


def say_warnings(warnings: Sequence[str]) -> None:
    """Print what to know about a result."""
    for warning in warnings:
        say(f"warning: {warning}")


def say_files(files: SelectionFiles | None) -> None:
    """Print where a selection was saved."""
    if files:
        say(f"overlay {files.overlay}")
        say(f"masks   {files.masks}")
        if files.clip:
            say(f"clip    {files.clip}")
            say(f"strip   {files.strip}")


def say_masks(masks: Sequence[SelectedMask], *, on_clip: bool = False) -> None:
    """Print a line per mask; of very many, the first."""
    for mask in masks[:MAX_MASK_LINES]:
        say_mask(mask, on_clip=on_clip)
    if len(masks) > MAX_MASK_LINES:
        say(f"  … and {len(masks) - MAX_MASK_LINES} more; all are in masks.json and in the output of --json")


def say_mask(mask: SelectedMask, *, on_clip: bool = False) -> None:
    """Print one mask in a line."""
    box, frames = ",".join(str(side) for side in mask.box), mask.masklet.areas
    where = f"  frames {min(frames)}-{max(frames)}, box of frame {mask.masklet.key_frame}" if on_clip else ""
    say(f'  mask {mask.id}  score {mask.score:.2f}{where}  box {box}  {mask.area} px  "{one_line(mask.phrase)}"')


def counted(number: int, noun: str, ending: str = "s") -> str:
    """A number with its noun, in the plural unless it is 1."""
    return f"{number} {noun}{'' if number == 1 else ending}"


@contextmanager
def output_folder(out: Path | None, image: str) -> Iterator[Path]:
    """The given folder, else a new one: sam3agent-out/NAME-1, -2, … It is locked against other processes."""
    if out is None:
        with fresh_folder(Path("sam3agent-out"), source_stem(image)) as folder:
            yield folder
        return
    with locked(make_folder(out)) as folder:
        yield folder
