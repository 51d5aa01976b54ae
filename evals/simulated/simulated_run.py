"""Runs the agent over simulated questions, in this process."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from evals.simulated.mind import Mind
from evals.simulated.mllm_skill import Skill
from evals.simulated.mouth import Mouth
from evals.simulated.noisy_segmenter import MaskNoise, NoisySegmenter
from evals.simulated.scene_questions import SceneQuestion
from evals.simulated.simulated_backend import SimulatedBackend
from evals.simulated.simulated_results import SimulatedResult
from sam3agent.agent.budget import Budget
from sam3agent.agent.policy import Policy
from sam3agent.api import Agent


@dataclass(frozen=True)
class Simulation:
    """What is simulated: the MLLM's skill, the segmenter's errors, the seed of both, and the agent's settings."""

    skill: Skill = field(default_factory=Skill)
    noise: MaskNoise = field(default_factory=MaskNoise)
    seed: int = 0
    budget: Budget = field(default_factory=Budget)
    policy: Policy = field(default_factory=Policy)


def simulate(cases: Sequence[SceneQuestion], simulation: Simulation) -> list[SimulatedResult]:
    """The result of every question."""
    return asyncio.run(_all(cases, simulation))


async def _all(cases: Sequence[SceneQuestion], simulation: Simulation) -> list[SimulatedResult]:
    return [await _one(case, simulation) for case in cases]


async def _one(case: SceneQuestion, simulation: Simulation) -> SimulatedResult:
    segmenter = NoisySegmenter(case.scene, simulation.noise, simulation.seed)
    backend = SimulatedBackend(Mouth(Mind(case, simulation.skill, simulation.seed)))
    agent = Agent(segmenter, backend, simulation.budget, policy=simulation.policy)
    answer = await agent.aask(Image.fromarray(case.scene.image), case.text)
    return SimulatedResult.of(case, answer, backend.depth)
