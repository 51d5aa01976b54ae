"""How many looks a question gets, and where they go. Every part can be switched off, to measure what it is worth."""

from dataclasses import dataclass, replace

from sam3agent.config import Effort
from sam3model.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Policy:
    """The parts of the policy, and its limits.

    every: look at every candidate before one is selected, and discard what is rejected; all other parts are then off.
    second_look: nothing is rejected, and no "no match" accepted, on one look alone. facts: order, place, size and
    nearness are stated as rules and computed. colours: colours are measured on the pixels. hints: what a selection says
    to be missing is searched at once. weigh: looks go where the answer would change, else to what was selected.
    compare: two that may be the best one, where only eyes can tell, are shown side by side. check: an unsure answer is
    shown once more against the question.

    glance, close: how often a mask in a numbered image, and one by itself, is taken to be judged rightly; those of a
    small MLLM, unless they were measured (`evals eyesight`).

    looks: close looks per question; at_once: per round; per_mask: at one mask. doubt: a look is worth its call if it is
    so likely to change the answer. sure: an answer of this confidence needs no check. reopen: how often the choice is
    given back.
    """

    every: bool = False
    second_look: bool = True
    facts: bool = True
    colours: bool = True
    hints: bool = True
    weigh: bool = True
    compare: bool = True
    check: bool = True
    glance: float = 0.75
    close: float = 0.8
    looks: int = 8
    at_once: int = 4
    per_mask: int = 3
    doubt: float = 0.08
    sure: float = 0.6
    reopen: int = 1


EVERY_CANDIDATE = Policy(every=True)
"""The policy of backends without an MLLM, whose looks are free, and of traces that name none."""

EFFORTS: dict[Effort, Policy] = {
    "low": Policy(looks=3, at_once=3, doubt=0.15, check=False, reopen=0),
    "medium": Policy(),
    "high": Policy(looks=24, at_once=8, doubt=0.03, sure=0.85, reopen=2),
}
WORST_EYES, BEST_EYES = 0.5, 0.98
"""Chances of a right verdict that a policy takes: no better than a coin, and never quite certain."""
PARTS = ("second_look", "facts", "colours", "hints", "weigh", "compare", "check")
"""Parts that `without` switches off."""


def policy_of(effort: Effort = "medium", without: str = "", eyesight: str = "") -> Policy:
    """The policy of an effort, without some parts, named with commas between them.

    eyesight: how often glances and close looks are right, as "0.7,0.85"; empty for the usual. Raises `ConfigError` for
    parts that do not exist, and chances that are none.
    """
    names = [name.strip().replace("-", "_") for name in without.split(",") if name.strip()]
    if "selecting" in names:
        return EVERY_CANDIDATE
    for name in names:
        if name not in PARTS:
            raise ConfigError(f"there is no part {name!r} of the policy; the parts are {', '.join(PARTS)}, selecting")
    policy = EFFORTS[effort]
    return replace(policy, **dict.fromkeys(names, False), **_eyes(eyesight))


def _eyes(eyesight: str) -> dict[str, float]:
    """The chances of a glance and a close look from text; none from an empty one. Raises `ConfigError`."""
    if not eyesight.strip():
        return {}
    try:
        glance, close = (float(part) for part in eyesight.split(","))
    except ValueError:
        glance = close = 0.0
    if not (WORST_EYES <= glance <= BEST_EYES and WORST_EYES <= close <= BEST_EYES):
        raise ConfigError(
            f"the eyesight {eyesight!r} is not two chances from {WORST_EYES} to {BEST_EYES}, such as 0.7,0.85 "
            "(a glance, a close look); python -m evals eyesight measures them"
        )
    return {"glance": glance, "close": close}
