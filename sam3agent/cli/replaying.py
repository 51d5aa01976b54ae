"""`sam3agent replay`: a recorded question again, without any model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sam3agent.agent.budget import Budget
from sam3agent.agent.replay import RecordedSegmenter, recorded_masks, recorded_picture
from sam3agent.agent.trace import read_trace
from sam3agent.answer import Answer, AnswerMask
from sam3agent.api import Agent
from sam3agent.cli.app import configure_logging
from sam3agent.cli.screen import output_folder, say, say_answer, say_json
from sam3agent.images import open_picture
from sam3agent.mllm.base import Usage
from sam3agent.mllm.scripted import ReplayBackend


def run_replay(trace: Path, *, rerun: bool, out: Path | None, as_json: bool, verbose: bool) -> None:
    """Print the steps of a trace and draw its answer again; with `rerun`, drive the state machine again."""
    configure_logging(verbose)
    records = read_trace(trace)
    picture = recorded_picture(records, trace)
    name = f"replay-{(trace if trace.is_dir() else trace.parent).resolve().name}"
    with output_folder(out, name) as folder:
        if rerun:
            answer = _run_again(records, picture, folder)
        else:
            answer = _recorded_answer(records, picture).save(folder, picture.name)
    if as_json:
        say_json(answer.to_json())
        return
    if not rerun:
        for line in _steps(records):
            say(line)
    say_answer(answer)


def _run_again(records: Sequence[Mapping[str, Any]], picture: Path, folder: Path) -> Answer:
    """The question asked again, of what was recorded."""
    start = records[0]
    calls, searches, seconds = start["budget"]
    budget = Budget(calls, searches, seconds)
    agent = Agent(RecordedSegmenter(records), ReplayBackend(records), budget, threshold=start["threshold"])
    return agent.ask(picture, start["query"], out=folder)


def _recorded_answer(records: Sequence[Mapping[str, Any]], picture: Path) -> Answer:
    """The answer as the trace tells it."""
    start, end = records[0], _end(records)
    stored = recorded_masks(records)
    phrases = {m["id"]: m["phrases"] for r in records if r["event"] == "tool" for m in r["masks"]}
    best = {mask_id: max(found, key=lambda pair: pair[1]) for mask_id, found in phrases.items()}
    return Answer(
        query=start["query"],
        status=end["status"],
        reason=end["reason"],
        masks=tuple(AnswerMask(i, stored[i].box, best[i][1], best[i][0], stored[i]) for i in end["ids"] if i in stored),
        picture=open_picture(picture),
        mllm_calls=end["mllm_calls"],
        segmenter_calls=end["segmenter_calls"],
        elapsed_s=end["elapsed_s"],
        usage=Usage(),
        steps=sum(record["event"] == "state" for record in records),
        weights=start["weights"],
        backend=start["backend"],
    )


def _end(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The end record; of a trace that breaks off, what had been accepted by then."""
    if records[-1]["event"] == "end":
        return records[-1]
    verdicts = {record["id"]: record["verdict"] for record in records if record["event"] == "finding"}
    searches = [r["data"]["searches"] for r in records if r["event"] == "tool" and r["name"] == "segment_phrase"]
    return {
        "status": "exhausted",
        "reason": "the trace breaks off here",
        "ids": [mask_id for mask_id, verdict in verdicts.items() if verdict == "accept"],
        "mllm_calls": sum(record["calls"] for record in records if record["event"] == "reply"),
        "segmenter_calls": sum(map(len, searches)),
        "elapsed_s": records[-1]["t"],
    }


def _steps(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line for each thing that happened."""
    lines = [f"question: {records[0]['query']}"]
    for record in records:
        match record["event"]:
            case "tool":
                said = ", ".join(f"{key}={value!r}" for key, value in record["arguments"].items() if value)
                lines.append(f"[{record['t']:6.2f} s] {record['name']}({said})")
                for search in record["data"].get("searches", ()):
                    ids = ", ".join(str(mask["id"]) for mask in search["masks"])
                    lines.append(f'             "{search["phrase"]}": {f"mask {ids}" if ids else "nothing found"}')
            case "finding":
                lines.append(f"[{record['t']:6.2f} s] mask {record['id']}: {record['verdict']} ({record['reason']})")
            case "complaint":
                lines.append(f"[{record['t']:6.2f} s] unusable reply: {record['text']}")
    return lines
