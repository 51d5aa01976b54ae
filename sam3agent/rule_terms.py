"""The names and parts of the rules by which an answer is chosen from masks; see `constraints` for what they do."""

from dataclasses import dataclass
from typing import Literal, get_args

PlaceRuleName = Literal[
    "leftmost", "rightmost", "topmost", "bottommost", "largest", "smallest", "nearest", "farthest", "left_of",
    "right_of", "above", "below", "behind", "in_front_of", "left_half", "right_half", "top_half", "bottom_half", "not",
    "best",
]  # fmt: skip
EventName = Literal["appears", "disappears", "enters", "leaves", "returns", "stops", "starts", "turns", "hides"]
"""What an object of a clip does at moments, which have an order, and a before and after."""
PairEventName = Literal["touches", "passes_behind", "passes_in_front_of", "overtakes"]
"""What it does at moments to another one."""
LastingName = Literal[
    "stays", "moves", "moves_left", "moves_right", "moves_up", "moves_down", "grows", "shrinks", "always_seen",
    "visible",
]  # fmt: skip
"""What it does all the time, or at a frame."""
MeasureName = Literal["fastest", "slowest", "longest_way", "longest_seen", "shortest_seen", "comes_nearest"]
"""What it can be the most of."""
TimeRuleName = Literal[EventName, PairEventName, LastingName, MeasureName]
RuleName = Literal[PlaceRuleName, TimeRuleName]
SideName = Literal["left", "right", "top", "bottom"]

TIME_RULES = frozenset(get_args(TimeRuleName))
AT_MOMENTS = frozenset(get_args(Literal[EventName, PairEventName]))
MEASURING = frozenset(get_args(MeasureName))
COMPARING = frozenset(
    ("nearest", "farthest", "left_of", "right_of", "above", "below", "behind", "in_front_of", "comes_nearest")
) | frozenset(get_args(PairEventName))
"""Rules that compare with other masks, which `of` names."""
NAMING = COMPARING | {"not", "best"}
"""Rules that say nothing without the masks that `of` names."""
WITH_SIDES = frozenset(("enters", "leaves", "returns"))


@dataclass(frozen=True, slots=True)
class TimePoint:
    """A time: a frame, or the first moment at which a mask does something."""

    frame: int | None = None
    mask: int | None = None
    does: EventName | None = None

    def words(self) -> str:
        """ "frame 12", or "mask 3 leaves"."""
        return f"frame {self.frame}" if self.frame is not None else f"mask {self.mask} {self.does}"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which masks of a group are kept.

    count, position: how many, from which place of the order on (1: the first; -1: the last), for rules that order.
    Events at moments have an order of time; position 0 means all that do it, in any order.
    of: ids of the masks that a rule compares with, that "not" leaves out, or that may be the "best", the likeliest one
    first. by: in what it is the best, such as "friendliest"; of all rules, only this one is judged by eye.
    drop: leave out those that the rule names, and keep the others. at: the frame on which a place is meant, from the
    end if it is negative; None for the first frame that shows most of the masks. before, after: for events. side: where
    something enters or leaves.
    """

    name: RuleName
    count: int = 1
    position: int = 1
    of: tuple[int, ...] = ()
    drop: bool = False
    at: int | None = None
    before: TimePoint | None = None
    after: TimePoint | None = None
    side: SideName | None = None
    by: str = ""

    @property
    def timed(self) -> bool:
        """Whether it is about time, so that it needs the paths of masklets."""
        return self.name in TIME_RULES or self.at is not None

    def words(self) -> str:
        """The rule in words, without the masks that it compares with: "leaves, first"."""
        counted = self.position and (self.count > 1 or self.name not in TIME_RULES)
        words = [f"{self.name.replace('_', ' ')}{f' {self.count}' if counted else ''}"]
        if self.name in TIME_RULES and self.position and (self.position != 1 or self.name in AT_MOMENTS):
            words.append({1: "first", -1: "last"}.get(self.position, f"from position {self.position}"))
        elif self.position not in (0, 1):
            words[0] += f" from position {self.position}"
        words[0] += f' ("{self.by}")' if self.by else ""
        words += [f"at the {self.side}"] if self.side else []
        if self.at is not None:
            words.append({0: "at the start", -1: "at the end"}.get(self.at, f"on frame {self.at}"))
        words += ["before another moment"] if self.before else []
        words += ["after another moment"] if self.after else []
        return ("all but " if self.drop else "") + ", ".join(words)


@dataclass(frozen=True, slots=True)
class MaskGroup:
    """Masks (ids) taken for what a question names, in words (`what`), and the rules that pick the answer from them."""

    what: str
    ids: tuple[int, ...]
    rules: tuple[Rule, ...] = ()
