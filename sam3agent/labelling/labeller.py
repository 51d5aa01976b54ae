"""What a worker does: it holds the model, reads an image once, and labels it with all classes."""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sam3agent.answer import Answer
from sam3agent.api import Agent, make_segmenter
from sam3agent.knowledge import knowledge_of, unread_warning, unread_words
from sam3agent.labelling.image_placing import place_image
from sam3agent.labelling.label_items import ItemReader, LabelItem
from sam3agent.labelling.label_job import LabelJob
from sam3agent.masks import Masklet
from sam3agent.media import Media, media_remarks
from sam3agent.mllm.base import MLLM, MLLMReply, MLLMRequest
from sam3agent.mllm.wrapped import WrappedBackend
from sam3agent.pool import SAME_OBJECT_IOU, MaskPool, masklets
from sam3agent.segmenter import SegmenterSession
from sam3model.errors import CheckpointError, ConfigError, InputError, OutputError, Sam3Error

T = TypeVar("T")

READERS = 2
"""Number of images that a worker has in hand: one is decoded while the other is segmented."""

MOST_QUESTIONS = 8
"""Maximum number of images that a worker asks an MLLM about at once: each of them is encoded in memory."""


@dataclass(frozen=True)
class Labelled:
    """What became of an image.

    record: its JSON values for the journal; None if the run cannot go on, because of `error`. remarks: what to know
    about the weights, the same for all images.
    """

    record: dict[str, Any] | None = None
    error: Sam3Error | None = None
    remarks: tuple[str, ...] = ()


class Labeller:
    """Labels images one after the other, or several on several threads.

    calls: how many MLLM calls this worker may have running at once: its share of the limit of the run.
    """

    def __init__(self, job: LabelJob, calls: int = 1) -> None:
        self.job = job
        self.threads = max(READERS, min(calls, MOST_QUESTIONS)) if job.asks_mllm else READERS
        self._agent = _agent(job, calls)
        self._reader = ItemReader()
        self._loop = _running_loop() if job.queries else None

    def label(self, item: LabelItem) -> Labelled:
        """Label one image. An image that cannot be read has a record that says why; nothing is raised for it.

        What would fail for every image (weights, server, disk, a question that is not understood) is in `error`.
        """
        try:
            opened = self._reader.read(item)
            session = self._agent.segmenter.open(opened.media)
            masks = self._masks(session, opened.media)
            place_image(item, opened, self.job)
            return Labelled(_record(item, opened.media, masks), remarks=self._remarks(session))
        except (CheckpointError, ConfigError, OutputError) as error:
            return Labelled(error=error)
        except InputError as error:
            return Labelled({"status": "failed", "name": item.name, "reason": str(error)})
        except Sam3Error as error:  # a server that cannot be reached
            return Labelled(error=error)
        except MemoryError:
            return Labelled({"status": "failed", "name": item.name, "reason": "it needs more memory than there is"})

    def close(self) -> None:
        """Close clips, and connections to servers."""
        self._reader.close()
        if self._loop is not None:
            self._on_loop(self._agent.backend.close())
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _masks(self, session: SegmenterSession, media: Media) -> list[tuple[int, float, Masklet]]:
        """The masks of all classes: number of the class, score, mask; in the order of the classes, best first."""
        found = list[tuple[int, float, Masklet]]()
        phrases = self.job.phrases
        results = session.segment_phrases(phrases, self.job.min_score) if phrases else ()
        for number, instances in enumerate(results):
            kept = [pair for pair in masklets(instances) if pair[1] >= self.job.min_score]
            pool, ids = MaskPool().add(phrases[number], kept)
            found += [(number, c.score, c.masklet) for c in map(pool.get, ids) if c]
        for number, query in enumerate(self.job.queries, start=len(phrases)):
            answer = self._answer(media, query, session)
            found += [(number, m.score, m.masklet) for m in answer.masks if m.score >= self.job.min_score]
        return _exclusive(found) if self.job.exclusive else found

    def _answer(self, media: Media, query: str, session: SegmenterSession) -> Answer:
        """The agent's answer. Raises `ConfigError` if it is not understood, `InputError` if there is none."""
        answer = self._on_loop(self._agent.aask(media, query, session=session))
        if answer.status == "not_understood":
            raise ConfigError(f"the question {query!r} is not understood: {answer.reason}")
        if answer.failed or answer.status == "exhausted":
            raise InputError(f"no final answer to {query!r}: {answer.reason}")
        if answer.interrupted:  # nobody reads the warning about it, and the next run asks again
            raise InputError(f"no final answer to {query!r}: the MLLM failed before all looks at it were made")
        return answer

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the one event loop of this worker, because a backend belongs to one loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop or _running_loop()).result()

    def _remarks(self, session: SegmenterSession) -> tuple[str, ...]:
        """Words that the weights do not read, and what the weights do not know."""
        cut = (
            unread_warning(phrase, unread) for phrase in self.job.phrases if (unread := unread_words(session, phrase))
        )
        return (*cut, *filter(None, [knowledge_of(session).notice]))


class LimitedBackend(WrappedBackend):
    """A backend with a limit on the number of calls that run at once."""

    def __init__(self, backend: MLLM, calls: int) -> None:
        super().__init__(backend)
        self._slots = asyncio.Semaphore(calls)

    async def decide(self, request: MLLMRequest) -> MLLMReply:
        """The reply to a request, once a call is free. Raises `MLLMError`."""
        async with self._slots:
            return await super().decide(request)


def _agent(job: LabelJob, calls: int) -> Agent:
    """The agent of the settings; nothing is loaded or connected before the first image."""
    agent = Agent.from_settings(job.settings)
    if job.segmenter is not make_segmenter:
        agent.segmenter = job.segmenter(job.settings)
    if not agent.backend.free:
        agent.backend = LimitedBackend(agent.backend, calls)
    return agent


def _running_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="sam3agent-questions", daemon=True).start()
    return loop


def share_of(total: int, workers: int, number: int) -> int:
    """The share of worker `number` of `total`, such that all shares add up to it. Workers must not outnumber it.

    >>> [share_of(8, 3, number) for number in range(3)]
    [3, 3, 2]
    """
    return total // workers + (number < total % workers)


def _exclusive(found: Sequence[tuple[int, float, Masklet]]) -> list[tuple[int, float, Masklet]]:
    """Each object once, under the class with the highest score and with the mask of that class."""
    kept = list[tuple[int, float, Masklet]]()
    for one in sorted(found, key=lambda one: -one[1]):
        if all(one[2].iou(other[2]) < SAME_OBJECT_IOU for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: one[0])


def _record(item: LabelItem, media: Media, masks: Sequence[tuple[int, float, Masklet]]) -> dict[str, Any]:
    width, height = media.size
    return {
        "status": "labelled" if masks else "no_match",
        "name": item.name,
        "group": item.group,
        "width": width,
        "height": height,
        "masks": [
            {
                "class": number,
                "score": round(score, 4),
                "box": list(masklet.mask.box),
                "area": masklet.mask.area,
                "counts": masklet.mask.to_rle()["counts"],
            }
            for number, score, masklet in masks
        ],
        "warnings": list(media_remarks(media)),
    }
