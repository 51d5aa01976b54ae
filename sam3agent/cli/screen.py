"""What the user sees: live lines on stderr while work goes on, the result on stdout."""

import json
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from sam3agent.answer import Answer, AnswerMask, fresh_folder


class Status:
    """Lines of status on stderr: one line rewritten in a terminal, plain lines elsewhere only with `verbose`."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._live = sys.stderr.isatty() and not quiet and not verbose
        self._plain = verbose or (not quiet and not self._live)
        self._started = time.monotonic()

    def tell(self, text: str) -> None:
        """Show a line."""
        if self._plain:
            sys.stderr.write(f"[{time.monotonic() - self._started:6.2f} s] {text}\n")
        elif self._live:
            sys.stderr.write(f"\r\x1b[2K{' '.join(text.split())[:110]}")
        sys.stderr.flush()

    def done(self) -> None:
        """Clear the live line."""
        if self._live:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


def say(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(text + "\n")


def say_json(value: Any) -> None:
    """One JSON object, and nothing else, on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def say_answer(answer: Answer) -> None:
    """An answer for people."""
    masks = _counted(len(answer.masks), "mask")
    head = {
        "answered": masks,
        "no_match": "no match",
        "exhausted": f"gave up; the best so far is {masks}",
    }[answer.status]
    say(f"{head}: {answer.reason}" if answer.reason else head)
    for mask in answer.masks:
        say_mask(mask)
    calls = f"{_counted(answer.segmenter_calls, 'search', 'es')}, {_counted(answer.mllm_calls, 'MLLM call')}"
    tokens = f" ({answer.usage.prompt_tokens + answer.usage.completion_tokens} tokens)" if answer.mllm_calls else ""
    steps, by = _counted(answer.steps, "step"), f"{answer.weights} + {answer.backend}"
    say(f"{steps}, {calls}{tokens}, {answer.elapsed_s:.2f} s, {by}")
    if answer.overlay_path:
        say(f"overlay {answer.overlay_path}")
        say(f"masks   {answer.masks_path}")
    if answer.trace_path:
        say(f"trace   {answer.trace_path}")


def _counted(number: int, noun: str, ending: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else ending}"


def say_mask(mask: AnswerMask) -> None:
    """One mask in a line."""
    box = ",".join(str(side) for side in mask.box)
    say(f'  mask {mask.id}  score {mask.score:.2f}  box {box}  {mask.stored.area} px  "{mask.phrase}"')


def output_folder(out: Path | None, image: str) -> AbstractContextManager[Path]:
    """The folder asked for, else a fresh one: sam3agent-out/NAME-1, -2, …"""
    if out is not None:
        return nullcontext(out)
    stem = "stdin" if image == "-" else Path(image).stem or "picture"
    return fresh_folder(Path("sam3agent-out"), stem)
