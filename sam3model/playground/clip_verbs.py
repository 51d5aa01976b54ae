"""Verbs of questions about clips: what an object does, and how a question says so."""

from collections.abc import Callable
from dataclasses import dataclass

from sam3model.playground.clip_facts import Moments, TimeFacts
from sam3model.playground.clip_trails import Trail

Fact = Callable[[TimeFacts, Trail], Moments | None]


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb. forms and negated: pairs of third person and plural, the latter also for infinitives.

    instant: it happens at a time, so objects can do it first or before something else. moving: only what moves can be
    said not to do it.
    """

    fact: Fact
    forms: tuple[tuple[str, str], ...]
    negated: tuple[tuple[str, str], ...] = ()
    instant: bool = True
    moving: bool = False


VERBS: dict[str, Verb] = {
    "enter": Verb(
        TimeFacts.entries,
        (
            ("enters the picture", "enter the picture"),
            ("comes into the picture", "come into the picture"),
            ("enters", "enter"),
            ("comes into view", "come into view"),
        ),
    ),
    "leave": Verb(
        TimeFacts.exits,
        (
            ("leaves the picture", "leave the picture"),
            ("goes out of the picture", "go out of the picture"),
            ("leaves", "leave"),
            ("moves out of view", "move out of view"),
        ),
        (("never leaves the picture", "never leave the picture"), ("does not leave", "do not leave")),
    ),
    "return": Verb(
        TimeFacts.returns,
        (("comes back", "come back"), ("leaves and comes back", "leave and come back"), ("returns", "return")),
    ),
    "stop": Verb(
        TimeFacts.stops,
        (("stops", "stop"), ("comes to a halt", "come to a halt"), ("stops moving", "stop moving")),
        (("does not stop", "do not stop"), ("never stops", "never stop")),
        moving=True,
    ),
    "start": Verb(
        TimeFacts.starts,
        (("starts moving", "start moving"), ("begins to move", "begin to move"), ("sets off", "set off")),
    ),
    "turn": Verb(
        TimeFacts.turns,
        (("turns around", "turn around"), ("turns back", "turn back")),
        (("does not turn around", "do not turn around"),),
        moving=True,
    ),
    "hide": Verb(
        TimeFacts.hidden,
        (
            ("is hidden for a while", "are hidden for a while"),
            ("disappears behind something", "disappear behind something"),
            ("gets covered by something", "get covered by something"),
        ),
        instant=False,
    ),
    "stay": Verb(
        TimeFacts.stays,
        (("never moves", "never move"), ("stays still", "stay still"), ("does not move", "do not move")),
        (("moves", "move"),),
        instant=False,
    ),
    "right": Verb(
        lambda facts, trail: facts.goes(trail, 1),
        (("moves to the right", "move to the right"), ("goes right", "go right")),
        instant=False,
    ),
    "left": Verb(
        lambda facts, trail: facts.goes(trail, -1),
        (("moves to the left", "move to the left"), ("goes left", "go left")),
        instant=False,
    ),
    "grow": Verb(
        lambda facts, trail: facts.grows(trail, 1),
        (("gets bigger", "get bigger"), ("grows", "grow"), ("becomes larger", "become larger")),
        instant=False,
    ),
    "shrink": Verb(
        lambda facts, trail: facts.grows(trail, -1),
        (("gets smaller", "get smaller"), ("shrinks", "shrink")),
        instant=False,
    ),
    "remain": Verb(
        TimeFacts.always,
        (
            ("is in the picture the whole time", "are in the picture the whole time"),
            ("stays in the picture", "stay in the picture"),
        ),
        instant=False,
    ),
}
