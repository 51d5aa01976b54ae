"""`sam3agent replay`: a recorded question again, without any model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sam3agent.absence import UNFIT, Absence
from sam3agent.agent.budget import Budget
from sam3agent.agent.recorded import RecordedSegmenter, ReplayBackend, recorded_masklets, recorded_media
from sam3agent.agent.recorded_tracker import RecordedTracker
from sam3agent.agent.trace import read_reply, read_trace
from sam3agent.answer import Answer, Costs, SelectedMask, Selection
from sam3agent.api import Agent
from sam3agent.cli.screen import configure_logging, output_folder, say, say_answer, say_json
from sam3agent.media import Media
from sam3agent.mllm.base import MLLMError, Usage
from sam3agent.pool import listed_masks
from sam3agent.states import Search
from sam3model.errors import InputError
from sam3model.printable import one_line


def run_replay(trace: Path, *, rerun: bool, out: Path | None, as_json: bool, verbose: bool) -> None:
    """Print the steps of a trace and draw its answer; with `rerun`, run the state machine on the recorded replies.

    Raises `InputError` if the trace is damaged.
    """
    configure_logging(verbose)
    records = read_trace(trace)
    media = recorded_media(records, trace)
    name = f"replay-{(trace if trace.is_dir() else trace.parent).resolve().name}"
    with output_folder(out, name) as folder:
        answer = (_rerun if rerun else _recorded_answer)(records, media, folder)
    if as_json:
        say_json(answer.to_json())
        return
    if not rerun:
        for line in _steps(records):
            say(line)
    say_answer(answer)


def _rerun(records: Sequence[Mapping[str, Any]], media: Media, folder: Path) -> Answer:
    """The question again, on the recorded replies and masks."""
    start = records[0]
    budget = Budget(*start["budget"])
    agent = Agent(
        RecordedSegmenter(records),
        ReplayBackend(records),
        budget,
        threshold=start["threshold"],
        tracker=RecordedTracker(records),
    )
    try:
        return agent.ask(media, start["query"], out=folder)
    except MLLMError as error:
        raise InputError(f"the trace cannot be run again: {error}") from error


def _recorded_answer(records: Sequence[Mapping[str, Any]], media: Media, folder: Path) -> Answer:
    """The answer as it was recorded, drawn."""
    start, end = records[0], _end(records)
    masklets = recorded_masklets(records, media.size)
    phrases = {mask["id"]: mask["phrases"] for r in records if r["event"] == "tool" for mask in r["masks"]}
    best = {mask_id: max(found, key=lambda pair: pair[1]) for mask_id, found in phrases.items()}
    masks = tuple(SelectedMask(i, best[i][1], best[i][0], masklets[i]) for i in end["ids"] if i in masklets)
    if any(frame >= media.count for mask in masks for frame in mask.masklet.areas):
        raise InputError("a mask of the trace is on a frame that its clip does not have")
    steps = sum(record["event"] == "state" for record in records)
    usage = sum((read_reply(dict(r)).usage for r in records if r["event"] == "reply"), Usage())
    answer = Answer(
        query=start["query"],
        status=end["status"],
        reason=end["reason"],
        selection=Selection(media, masks),
        costs=Costs(end["mllm_calls"], end["segmenter_calls"], end["elapsed_s"], steps, usage),
        weights=start["weights"],
        backend=start["backend"],
        warnings=tuple(map(str, end.get("warnings", ()))),
        confidence=end.get("confidence"),
        absence=_absence(end),
    )
    return answer.save(folder, Path(start.get("clip") or start["image"]).name)


def _absence(end: Mapping[str, Any]) -> Absence | None:
    """What a recorded "no match" rests on; traces of older versions may not have it."""
    if end["status"] != "no_match" or "searched" not in end:
        return None
    return Absence.from_json(end, looked_below=end.get("looked_below", True))


def _end(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The end record; for an incomplete trace, what had been accepted by then."""
    if records[-1]["event"] == "end":
        return records[-1]
    verdicts = {record["id"]: record["verdict"] for record in records if record["event"] == "finding"}
    searches = [r["data"]["searches"] for r in records if r["event"] == "tool" and "searches" in r["data"]]
    return {
        "status": "exhausted",
        "reason": "the trace is incomplete",
        "ids": [mask_id for mask_id, verdict in verdicts.items() if verdict == "accept"],
        "mllm_calls": sum(record["calls"] for record in records if record["event"] == "reply"),
        "segmenter_calls": sum(map(len, searches)),
        "elapsed_s": records[-1]["t"],
    }


def _steps(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for everything that happened."""
    lines = [f"question: {one_line(records[0]['query'])}"]
    for record in records:
        match record["event"]:
            case "tool":
                arguments = ", ".join(f"{key}={value!r}" for key, value in record["arguments"].items() if value)
                call = one_line(f"{record['name']}({arguments})")
                lines.append(f"[{record['t']:6.2f} s] {call}")
                for search in record["data"].get("searches", ()):
                    found = Search(search["phrase"], tuple(mask["id"] for mask in search["masks"]))
                    lines.append(f"             {one_line(found.line())}")
            case "finding":
                verdict = f"{record['verdict']} ({one_line(record['reason'])})"
                lines.append(f"[{record['t']:6.2f} s] mask {record['id']}: {verdict}")
            case "failed_look":
                shown = listed_masks(record["ids"])
                lines.append(f"[{record['t']:6.2f} s] no look at {shown}: {one_line(record['text'])}")
            case "complaint":
                lines.append(f"[{record['t']:6.2f} s] unusable reply: {one_line(record['text'])}")
    return [*lines, *_passed_over(records)]


def _passed_over(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for every mask that a "no match" leaves out without a verdict on it."""
    if records[-1].get("status") != "no_match":
        return []
    judged = {record["id"] for record in records if record["event"] == "finding" and record["verdict"] == "reject"}
    found = {mask["id"]: mask["phrases"] for r in records if r["event"] == "tool" for mask in r["masks"]}
    best = {i: max(found[i], key=lambda pair: pair[1]) for i in found if i not in judged}
    return [
        f'mask {i} ("{one_line(phrase)}", score {score:.2f}): not rejected by itself, but {UNFIT}'
        for i, (phrase, score) in best.items()
    ]
