"""Asks an MLLM about the masks of one image as the agent does: numbered among others, and each by itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evals.eyesight.eyesight_cases import EyesightCase
from sam3agent.agent.budget import Budget, Ledger
from sam3agent.agent.loop import AgentLoop
from sam3agent.agent.policy import Policy
from sam3agent.agent.transitions import advance
from sam3agent.constraints import MaskGroup
from sam3agent.masks import Masklet
from sam3agent.media import ImageMedia
from sam3agent.mllm.base import MLLM
from sam3agent.pool import Candidate, MaskPool
from sam3agent.segmenter import FoundInstances, Prompt
from sam3agent.states import (
    ActiveState,
    Complaint,
    NothingMatches,
    OutOfBudget,
    Refine,
    Search,
    Searched,
    Selected,
    Story,
    Verify,
)
from sam3agent.workbench import Workbench

SCORE = 0.9
"""Score of every mask, so that it tells nothing."""
BUDGET = Budget(mllm_calls=10_000, segmenter_calls=100, seconds=3600)


@dataclass(frozen=True, slots=True)
class SeenMask:
    """One mask: whether it fits in truth, and whether it was said to, at a glance and closely.

    glance: None if no reply was usable. close: None if it could not be told, or no reply was usable.
    """

    key: str
    fits: bool
    glance: bool | None
    close: bool | None


async def seen(case: EyesightCase, backend: MLLM) -> tuple[SeenMask, ...]:
    """What is said about every mask of a case. Raises `MLLMError` if the backend is unusable."""
    image = case.open()
    pool = MaskPool(
        tuple(Candidate(n, Masklet.of(one.mask), ((case.phrase, SCORE),)) for n, one in enumerate(case.shown, start=1)),
        len(case.shown) + 1,
    )
    bench = Workbench(ImageMedia(image), _NothingMore(image.size), pool=pool)
    loop = AgentLoop(case.query, bench, backend, Ledger(BUDGET), policy=Policy())
    story = Story(case.query, pool=pool, searches=(Search(case.phrase, pool.ids),), latest=1)
    chosen = await _at_a_glance(loop, Refine(story))
    sought = replace(story, groups=(MaskGroup(case.phrase, pool.ids),))
    findings = await asyncio.gather(*(loop.look(Verify(sought, (i,)), i) for i in pool.ids))
    verdicts = {"accept": True, "reject": False}
    return tuple(
        SeenMask(case.key, one.fits, None if chosen is None else i in chosen, verdicts.get(finding.verdict))
        for i, one, finding in zip(pool.ids, case.shown, findings, strict=True)
    )


async def _at_a_glance(loop: AgentLoop, state: ActiveState) -> frozenset[int] | None:
    """The masks that are taken for what is sought, before any rule is applied; None if no reply was usable.

    Another search, or the word that nothing matches, says that none of them is.
    """
    while isinstance(state, Refine):
        event = await loop.step(state)
        match event:
            case Selected():
                named = [i for group in event.groups for i in group.ids]
                return frozenset(named or event.ids)
            case Searched() | NothingMatches():
                return frozenset()
            case OutOfBudget():
                return None
            case Complaint():
                told = event
            case _:
                told = Complaint("no other tool can be called now; select the masks by what you see")
        after = advance(state, told, loop.limits, loop.policy)
        if not isinstance(after, Refine):
            return None
        state = after
    return None


@dataclass(frozen=True, slots=True)
class _NothingMore:
    """A segmenter session that finds nothing. size: width and height of its image."""

    size: tuple[int, int]

    def segment_phrases(
        self, phrases: Sequence[str], threshold: float | None = None, frame: int = 0
    ) -> list[FoundInstances]:
        return [self._nothing() for _ in phrases]

    def segment_prompt(self, prompt: Prompt, threshold: float | None = None, frame: int = 0) -> FoundInstances:
        return self._nothing()

    def _nothing(self) -> FoundInstances:
        return FoundInstances.of(np.zeros((0, self.size[1], self.size[0]), bool), self.size, [])
