"""What a view shows first: the masks of a reply, and those that were looked at and rejected, each with the reason."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sam3agent.agent.trace import FILE_NAME
from sam3agent.masks import Masklet
from sam3agent.pool import SAME_OBJECT_IOU, Candidate, MaskPool
from sam3agent.servers.result_files import ResultFolder
from sam3agent.servers.studio.studio_questions import step_of
from sam3agent.servers.studio.studio_sheet import ObjectSource
from sam3model.errors import InputError
from sam3model.files import read_regular

MAX_TRACE = 32 * 1024 * 1024
"""A longer trace is not read: the view then shows the answer alone."""


@dataclass(frozen=True, eq=False, slots=True)
class SeedMask:
    """One mask of a view. id: its number. placed: whether it is among the client's masks of the image."""

    id: int
    label: str
    source: ObjectSource
    score: float
    kept: bool
    why: str
    masklet: Masklet
    placed: bool = True


@dataclass(frozen=True, eq=False, slots=True)
class ViewSeed:
    """What a view shows first. questions: as the page has them, with their steps. next_id: of a new mask."""

    masks: tuple[SeedMask, ...]
    next_id: int
    questions: tuple[dict[str, Any], ...] = ()


def seed_of(tool: str, data: Mapping[str, Any], pool: MaskPool, results: ResultFolder) -> ViewSeed:
    """The masks of a reply. data: its structured content. pool: the client's masks of the image."""
    if tool == "ask":
        return _of_answer(data, pool, results)
    if tool == "select_masks":
        return _of_selection(data, pool)
    return _of_search(data, pool)


def _of_search(data: Mapping[str, Any], pool: MaskPool) -> ViewSeed:
    """Everything that phrases found, or the one mask that was followed."""
    found: dict[int, str] = {}
    for search in data.get("searches", ()):
        for mask in search["masks"]:
            found.setdefault(mask["id"], search["phrase"])
    for mask in data.get("masks", ()):
        found.setdefault(mask["id"], "")
    masks = [_seed(c, found[c.id], True, _matches(c, found[c.id])) for c in pool.candidates if c.id in found]
    return ViewSeed(tuple(masks), pool.next_id)


def _of_selection(data: Mapping[str, Any], pool: MaskPool) -> ViewSeed:
    """The selected masks, and all others of the image as rejected."""
    selected = {mask["id"] for mask in data.get("masks", ())}
    reason = str(data.get("reason") or "")

    def why(candidate: Candidate) -> str:
        if candidate.id in selected:
            return f"It was selected: {reason}" if reason else "It was selected"
        judged = f". It was looked at and rejected: {candidate.reason}" if candidate.verdict == "reject" else ""
        return f"{_matches(candidate, '')}, but it was not selected{judged}"

    masks = [_seed(c, "", c.id in selected, why(c)) for c in pool.candidates]
    return ViewSeed(tuple(sorted(masks, key=lambda mask: not mask.kept)), pool.next_id)


def _of_answer(data: Mapping[str, Any], pool: MaskPool, results: ResultFolder) -> ViewSeed:
    """The masks of an answer, and what the agent looked at for it, from the trace; its numbers become those here."""
    records = _records(data.get("trace"), results)
    question, reason = str(data.get("question", "")), str(data.get("reason", ""))
    chosen = {mask["id"] for mask in data.get("masks", ())}
    answers = [c for c in pool.candidates if c.id in chosen]
    masks = [_seed(c, "", True, f"It answers “{question}”: {reason}") for c in answers]
    next_id, numbers = pool.next_id, dict[int, int]()
    for number, (masklet, phrase, score, why) in looked_at(records, question).items():
        same = next((c for c in pool.candidates if c.masklet.iou(masklet) >= SAME_OBJECT_IOU), None)
        numbers[number] = next_id if same is None else same.id
        if same is None:
            masks.append(SeedMask(next_id, phrase, "question", score, False, why, masklet, placed=False))
            next_id += 1
        elif all(same.id != mask.id for mask in masks):
            masks.append(_seed(same, phrase, False, why))
    steps = [_renumbered(step, numbers) for record in records if (step := step_of(record))]
    told = {"id": 1, "text": question, "status": str(data.get("status", "")), "steps": steps}
    return ViewSeed(tuple(masks), next_id, (told,) if records else ())


def looked_at(records: Iterable[Mapping[str, Any]], question: str) -> dict[int, tuple[Masklet, str, float, str]]:
    """Masklet, phrase, score and reason of every candidate of a trace, by the number that it has there."""
    records = list(records)
    verdicts = {r["id"]: (r["verdict"], r["reason"]) for r in records if r.get("event") == "finding"}
    found = dict[int, tuple[Masklet, str, float, str]]()
    for mask in (mask for r in records if r.get("event") == "tool" for mask in r["masks"]):
        masklet = Masklet.from_rles({int(frame): rle for frame, rle in mask["frames"].items()})
        if masklet is None:
            continue
        phrase, score = max(mask["phrases"], key=lambda pair: pair[1])
        verdict, reason = verdicts.get(mask["id"], ("", ""))
        why = f"It matches “{phrase}”, but is not part of the answer to “{question}”"
        if verdict == "reject":
            why = f"It was looked at for “{question}” and rejected: {reason}"
        found[mask["id"]] = masklet, phrase, score, why
    return found


def _seed(candidate: Candidate, phrase: str, kept: bool, why: str) -> SeedMask:
    best, score = max(candidate.phrases, key=lambda pair: pair[1])
    label = phrase or best
    given = candidate.score_for(label)
    return SeedMask(candidate.id, label, "phrase", score if given is None else given, kept, why, candidate.masklet)


def _matches(candidate: Candidate, phrase: str) -> str:
    best, score = max(candidate.phrases, key=lambda pair: pair[1])
    given = candidate.score_for(phrase)
    return f"“{phrase or best}” matches with score {score if given is None else given:.2f}"


def _records(trace: Any, results: ResultFolder) -> list[dict[str, Any]]:
    """The records of a trace in the result folder; none if it cannot be read."""
    if not isinstance(trace, str) or not trace.endswith(FILE_NAME):
        return []
    records = list[dict[str, Any]]()
    with suppress(InputError, UnicodeDecodeError):
        for line in read_regular(results.path(trace), MAX_TRACE).decode().splitlines():
            with suppress(ValueError):
                records.append(json.loads(line))
    return records


def _renumbered(step: dict[str, Any], numbers: Mapping[int, int]) -> dict[str, Any]:
    """A step with the numbers that masks have in the view."""

    def here(ids: Sequence[int]) -> list[int]:
        return [numbers[number] for number in ids if number in numbers]

    if step["kind"] == "tool":
        searches = [{**one, "ids": here(one["ids"])} for one in step["searches"]]
        masks = [{**mask, "id": numbers[mask["id"]]} for mask in step["masks"] if mask["id"] in numbers]
        return {**step, "searches": searches, "masks": masks}
    if step["kind"] == "finding":
        return {**step, "id": numbers.get(step["id"], 0)}
    return {**step, "ids": here(step["ids"])} if step["kind"] == "end" else step
