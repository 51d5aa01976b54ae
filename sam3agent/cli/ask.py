"""`sam3agent ask`: a question about one image, or the same question about several."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sam3agent.answer import Answer
from sam3agent.api import Agent
from sam3agent.batch_journal import BUDGETS, weights_as_read
from sam3agent.cli.batch import ImageBatch, run_batch
from sam3agent.cli.flags import Screen
from sam3agent.cli.image_sources import expand_sources, split_question
from sam3agent.cli.mask_files import FORMATS, write_formats
from sam3agent.cli.screen import Status, configure_logging, counted, output_folder, say_answer, say_json
from sam3agent.config import Settings, load_settings
from sam3agent.downloads import in_words_of, local_source
from sam3agent.written_lists import split_formats
from sam3model.connection import without_account
from sam3model.errors import OutputError


def run_ask(words: Sequence[str], flags: Mapping[str, Any], screen: Screen, *, started: float | None = None) -> int:
    """Ask, write the files, print the answer or answers; the exit code: 1 if no reply could be used or an image could
    not be read, 2 if the question was not understood.

    words: the images, then the question. started: when the command began, as for `Agent.ask`.
    """
    configure_logging(screen.verbose)
    formats = split_formats(screen.formats, FORMATS, "masks.json")
    images, question = split_question(words)
    sources, several = expand_sources(images, clips=screen.clips)
    settings = load_settings(flags)
    status = Status(quiet=screen.as_json, verbose=screen.verbose)
    agent = Agent.from_settings(settings)
    if len(words) - len(images) > 1:
        status.tell(f"the question is: {question}")
    if settings.backend == "rules":
        status.tell("no MLLM configured: using the built-in rules (see --mllm, --base-url)")
    try:
        if several:
            batch = _batch(agent, question, settings, formats, status)
            return run_batch(batch, sources, settings.out, status, as_json=screen.as_json)
        with output_folder(settings.out, sources[0]) as folder, local_source(sources[0]) as path:
            answer = agent.ask(path, question, out=folder, tell=status.tell, started=started)
            answer = replace(answer, warnings=tuple(in_words_of(sources[0], path, text) for text in answer.warnings))
            answer, written = _with_formats(answer, folder, formats)
    finally:
        status.done()
    if screen.as_json:
        say_json({**answer.to_json(), **written})
    else:
        say_answer(answer)
    return 2 if answer.status == "not_understood" else int(answer.failed)


def _with_formats(answer: Answer, folder: Path, formats: tuple[str, ...]) -> tuple[Answer, dict[str, list[str]]]:
    """Write the masks in some formats; without them, and with a warning, if they cannot be written."""
    try:
        return answer, write_formats(answer.selection, folder, formats)
    except OutputError as error:
        remark = f"the masks are not kept as files: {error}"
        return replace(answer, warnings=(*answer.warnings, remark)), {}


def _batch(agent: Agent, question: str, settings: Settings, formats: tuple[str, ...], status: Status) -> ImageBatch:
    def work(path: str, folder: Path) -> dict[str, Any]:
        answer = agent.ask(path, question, out=folder, tell=status.detail)
        outcome = {"status": "failed"} if answer.failed else {}  # the journal asks again
        kept = {"budgets": budgets, "interrupted": answer.interrupted}
        return {**answer.to_json(), **outcome, **write_formats(answer.selection, folder, formats), **kept}

    budgets = {name: getattr(settings, name) for name in (*BUDGETS, "max_seconds")}
    chosen = {name: getattr(settings, name) for name in ("backend", "model", "threshold")}
    chosen |= {"weights": weights_as_read(settings.weights), **settings.of_agent}
    server = without_account(settings.base_url) if settings.base_url else None
    chosen |= {"base_url": server, "formats": list(formats)}
    again = "the same command asks again, with a larger --max-calls or --max-seconds or if the server had failed"
    hint = "exhausted", f"answers that are exhausted are not final: {again}"
    return ImageBatch("ask", question, chosen, work, _label, partial(_ran_out, budgets), hint)


def _ran_out(budgets: Mapping[str, float], record: Mapping[str, Any]) -> bool:
    """Whether an earlier answer was cut short, by a failure of the MLLM or by less than these budgets."""
    if record.get("interrupted"):
        return True
    if record["status"] != "exhausted":
        return False
    before = record.get("budgets")
    if not isinstance(before, Mapping):  # of an older version
        return True
    return any(budgets[name] > before[name] for name in budgets if isinstance(before.get(name), int | float))


def _label(record: Mapping[str, Any]) -> str:
    """One line about an answer."""
    masks, status = counted(len(record["masks"]), "mask"), str(record["status"])
    head = masks if status == "answered" else status.replace("_", " ") + (f", {masks}" if record["masks"] else "")
    return f"{head}: {record['reason']}" if record["reason"] else head
