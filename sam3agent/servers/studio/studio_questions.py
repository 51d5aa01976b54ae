"""Questions about an item: the agent runs on a thread of its own, and the page reads its trace while it grows.

The trace is the only record of a question: the page shows the same steps live, after a reload, and after a restart.
"""

import asyncio
import json
import logging
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from sam3agent.agent.trace import FILE_NAME
from sam3agent.answer import Answer
from sam3agent.masks import Masklet
from sam3agent.servers.stoppable_clip import stoppable
from sam3agent.servers.studio.studio_engine import StudioEngine
from sam3agent.servers.studio.studio_events import EventHub
from sam3agent.servers.studio.studio_media import OpenItem
from sam3agent.servers.studio.studio_sheet import FoundMask
from sam3agent.servers.studio.studio_store import AskedQuestion
from sam3model.errors import InputError, Sam3Error

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
"""Time between two looks at a growing trace."""

CLOSE_SECONDS = 3.0
"""How long the end of the studio waits for questions to end."""


class QuestionStoppedError(Exception):
    """Ends the work of a question that was stopped, when it reads a frame."""


class QuestionDesk:
    """Starts, stops and shows questions. One at a time on an item."""

    def __init__(self, engine: StudioEngine, hub: EventHub, folder: Path) -> None:
        self._engine, self._hub, self._folder = engine, hub, folder
        self._running: dict[str, tuple[threading.Event, Future[None]]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="studio-questions", daemon=True)
        self._thread.start()
        for question in engine.store.questions():
            if question.status == "running":
                engine.store.end_question(question, "interrupted")

    def ask(self, item_id: str, text: str) -> dict[str, Any]:
        """Start a question. Raises `InputError` if it is empty or another one runs on this item."""
        text = " ".join(text.split())
        if not text:
            raise InputError("write a question, e.g. leftmost player in white")
        opened = self._engine.open(item_id)
        if item_id in self._running:
            raise InputError("a question about this item is still running: stop it first")
        question = self._engine.store.add_question(item_id, text)
        stopped = threading.Event()
        work = self._answer(opened, question, stopped)
        self._running[item_id] = stopped, asyncio.run_coroutine_threadsafe(work, self._loop)
        return self._shown(question, [])

    def stop(self, item_id: str) -> bool:
        """Stop the question about an item; what follows objects ends at the next frame. False if none is running."""
        running = self._running.get(item_id)
        if running is None:
            return False
        stopped, work = running
        stopped.set()
        work.cancel()
        return True

    def shown(self, item_id: str) -> list[dict[str, Any]]:
        """The questions about an item with their steps so far, oldest first."""
        return [self._shown(question, self._steps(question)) for question in self._engine.store.questions(item_id)]

    def close(self) -> None:
        """Stop every question, wait until they have ended, and close the connections of the backend."""
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_SECONDS)

    async def _end(self) -> None:
        for stopped, _ in self._running.values():
            stopped.set()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(Exception):
            await self._engine.agent.backend.close()

    async def _answer(self, opened: OpenItem, question: AskedQuestion, stopped: threading.Event) -> None:
        """Run the agent, tell its steps, and put what it found on the sheet."""

        def check() -> None:
            if stopped.is_set():
                raise QuestionStoppedError

        status = "stopped"
        telling = asyncio.create_task(self._tell(question))
        try:
            self._hub.publish("status", item=question.item, text="encoding the image")
            session = await asyncio.to_thread(lambda: opened.session)
            answer = await self._engine.agent.aask(
                stoppable(opened.media, check), question.text, out=self._path(question), save=False, session=session,
                tell=lambda line: self._hub.publish("status", item=question.item, text=line),
            )  # fmt: skip
            found = found_masks(self._records(question), answer)
            await asyncio.to_thread(self._engine.add_found, opened, found, 0, f"ask “{question.text}”")
            status = answer.status
        except QuestionStoppedError:
            pass
        except Sam3Error as error:
            status = f"failed: {error}"
        except Exception as error:
            log.exception("a question failed")
            status = f"failed: {type(error).__name__}: {error}"
        finally:
            self._running.pop(question.item, None)
            telling.cancel()
            ended = self._engine.store.end_question(question, status)
            self._hub.publish("question", item=question.item, question=self._shown(ended, self._steps(ended)))

    async def _tell(self, question: AskedQuestion) -> None:
        """Publish the question whenever its trace has grown."""
        known = -1
        while True:
            steps = await asyncio.to_thread(self._steps, question)
            if len(steps) != known:
                known = len(steps)
                self._hub.publish("question", item=question.item, question=self._shown(question, steps))
            await asyncio.sleep(LOOK_SECONDS)

    def _shown(self, question: AskedQuestion, steps: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": question.id, "text": question.text, "status": question.status, "steps": steps}

    def _path(self, question: AskedQuestion) -> Path:
        return self._folder / f"question-{question.id}"

    def _steps(self, question: AskedQuestion) -> list[dict[str, Any]]:
        return [step for record in self._records(question) if (step := step_of(record))]

    def _records(self, question: AskedQuestion) -> list[dict[str, Any]]:
        """The records of a trace so far. A line that is still being written is left for the next look."""
        try:
            lines = (self._path(question) / FILE_NAME).read_text("utf-8").splitlines()
        except OSError:
            return []
        records = []
        for line in lines:
            with suppress(ValueError):
                records.append(json.loads(line))
        return records


def step_of(record: dict[str, Any]) -> dict[str, Any] | None:
    """A record of a trace as the page shows it; None if it is of no interest to a user."""
    kind = record.get("event")
    if kind == "tool":
        masks = [_first_mask(mask) for mask in record["masks"]]
        searches = record["data"].get("searches", [])
        found = [{"phrase": one["phrase"], "ids": [mask["id"] for mask in one["masks"]]} for one in searches]
        return {"kind": "tool", "name": record["name"], "searches": found, "masks": masks}
    if kind == "finding":
        return {"kind": "finding", "id": record["id"], "verdict": record["verdict"], "reason": record["reason"]}
    if kind in ("complaint", "warning"):
        return {"kind": "note", "text": record["text"]}
    if kind == "reply" and record.get("candidate") is None and (text := record.get("text", "").strip()):
        return {"kind": "thought", "text": text[:600]}
    if kind == "end":
        return {"kind": "end", "status": record["status"], "reason": record["reason"], "ids": record["ids"],
                "warnings": record.get("warnings", [])}  # fmt: skip
    return None


def _first_mask(mask: dict[str, Any]) -> dict[str, Any]:
    """A mask of a search as the page shows it: as it is on the first frame it is on."""
    frame = min(mask["frames"], key=int)
    score = max(score for _, score in mask["phrases"])
    return {"id": mask["id"], "score": score, "frame": int(frame), "rle": mask["frames"][frame]}


def found_masks(records: list[dict[str, Any]], answer: Answer) -> list[FoundMask]:
    """Everything the agent looked at: the answer is kept, the rest is rejected with the verdict on it."""
    verdicts = {r["id"]: (r["verdict"], r["reason"]) for r in records if r.get("event") == "finding"}
    candidates = {m["id"]: m for r in records if r.get("event") == "tool" for m in r["masks"]}
    chosen = {mask.id: mask for mask in answer.masks}
    found = list[FoundMask]()
    for mask_id, record in candidates.items():
        read = {int(frame): rle for frame, rle in record["frames"].items()}
        masklet = chosen[mask_id].masklet if mask_id in chosen else Masklet.from_rles(read)
        if masklet is None:
            continue
        phrase, score = max(record["phrases"], key=lambda pair: pair[1])
        verdict, reason = verdicts.get(mask_id, ("", ""))
        if mask_id in chosen:
            why = f"It answers “{answer.query}”: {answer.reason}"
        elif verdict == "reject":
            why = f"Looked at for “{answer.query}” and rejected: {reason}"
        else:
            why = f"It matches “{phrase}”, but is not part of the answer to “{answer.query}”"
        first = min(masklet.areas)
        found.append(FoundMask(masklet, phrase, "question", score, mask_id in chosen, why, first))
    return found
