"""`python -m evals simulated`: the agent over a simulated MLLM of known skill."""

import argparse
from collections.abc import Sequence

from evals.command_flags import parse_flags
from sam3model.errors import ConfigError

DESCRIPTION = """Run the agent with a simulated MLLM of known skill over noisy masks of held-out Playground questions,
and print accuracy, calls, calls in sequence (depth), tokens and calibration. Without a GPU, about a minute per seed."""


def simulated(arguments: Sequence[str]) -> int:
    """Run the command with these arguments and print the figures. Raises `ConfigError` for an invalid one."""
    flags = parse_flags(_parser(), arguments)
    _check(flags)
    from evals.simulated.mllm_skill import Skill
    from evals.simulated.noisy_segmenter import PERFECT, MaskNoise
    from evals.simulated.scene_questions import best_questions, scene_questions
    from evals.simulated.simulated_results import figures, reliability, table
    from evals.simulated.simulated_run import Simulation, simulate
    from sam3agent.agent.budget import Budget
    from sam3agent.agent.policy import policy_of

    skill = Skill(verdict=flags.verdict, glance=flags.glance, shared=flags.shared, bad=flags.malformed)
    noise = PERFECT if flags.perfect_masks else MaskNoise()
    policy = policy_of(flags.effort, flags.without, flags.eyesight)
    cases = (best_questions if flags.best else scene_questions)(flags.questions, flags.first_scene)
    seeds = range(flags.first_seed, flags.first_seed + flags.seeds)
    results = [result for seed in seeds for result in simulate(cases, Simulation(skill, noise, seed, Budget(), policy))]
    print(table(figures(results)))
    rows, error = reliability(results)
    for stated, right, count in rows:
        print(f"stated confidence {stated:4.0%}: right {right:4.0%} of {count}")
    if rows:
        print(f"calibration error {error:.1%}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m evals simulated", description=DESCRIPTION)
    parser.add_argument("--questions", type=int, default=200, help="number of questions (default: 200)")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds, i.e. of other luck (default: 1)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--first-scene", type=int, default=0, help="first scene; others have other questions")
    parser.add_argument(
        "--best", action="store_true", help="ask for the most striking of several things, which only eyes can tell"
    )
    parser.add_argument("--verdict", type=float, default=0.8, help="chance of a right close look (default: 0.8)")
    parser.add_argument("--glance", type=float, help="the same for a mask among others (default: as --verdict)")
    parser.add_argument(
        "--shared", type=float, default=0.5, help="part of the misjudgements that come again every time (default: 0.5)"
    )
    parser.add_argument("--malformed", type=float, default=0.0, help="chance of an unusable reply (default: 0)")
    parser.add_argument("--effort", choices=("low", "medium", "high"), default="medium", help="of the agent's policy")
    parser.add_argument("--without", default="", help="parts of the policy to switch off, with commas between them")
    parser.add_argument("--eyesight", default="", help="what the agent is told of a glance and a close look: 0.7,0.85")
    parser.add_argument("--perfect-masks", action="store_true", help="a segmenter without errors")
    return parser


def _check(flags: argparse.Namespace) -> None:
    for name in ("verdict", "glance", "shared", "malformed"):
        value = getattr(flags, name)
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"--{name} {value:g} is not a chance; give a number from 0 to 1")
    if flags.seeds < 1:
        raise ConfigError("--seeds must be at least 1")
