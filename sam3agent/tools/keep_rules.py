"""Rules of order, place, size, nearness and time as a model writes them, for the arguments of tools."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sam3agent.rule_terms import AT_MOMENTS, NAMING, TIME_RULES, EventName, Rule, RuleName, SideName, TimePoint
from sam3agent.tools.arguments import MaskIds, OneMaskId, Reason
from sam3agent.tools.reading import whole_number

_PLACES = {"first": 1, "second": 2, "third": 3, "last": -1}
_ENDS = {"start": 0, "beginning": 0, "first": 0, "end": -1, "last": -1}
_IN_CLIPS = ("at", "before", "after", "side")
_TO_THE_SIDE = ("left_of", "right_of", "in_front_of", "passes_in_front_of")
"""Names that end in "of"."""


def _read_rule(value: Any) -> Any:
    """A rule written as text, such as "nearest to 3", "largest 2" or "first leaves", as a mapping; else unchanged."""
    if not isinstance(value, str):
        return value
    words = re.fullmatch(r"\s*([a-z]+(?:[ _][a-z]+)*?)\W*(?:\b(?:to|of|mask)\W*)*([\d\s,]*)\W*", value.lower())
    if not words:
        return {"rule": value}
    name, numbers = words[1].strip().replace(" ", "_"), [int(n) for n in re.findall(r"\d+", words[2])[:64]]
    place = re.match(r"(first|last)_(?:to_)?|.*_(first|last)$", name)
    name = re.sub(r"^(first|last)_(to_)?|_(first|last)$", "", name)
    name = next((whole for whole in _TO_THE_SIDE if name in (whole, whole.removesuffix("_of"))), name)
    name = name if name in _TO_THE_SIDE else name.removesuffix("_of")
    position = {"position": 1 if "first" in place[0] else -1} if place else {}
    if name in NAMING:
        return {"rule": name, "of": numbers, **position}
    return {"rule": name, **({"count": numbers[0]} if numbers else {}), **position}


def _read_rules(value: Any) -> Any:
    """A list of rules; one alone is a list of one."""
    if value in (None, "", "all"):
        return []
    return [_read_rule(item) for item in (value if isinstance(value, list) else [value])]


def _read_frame(value: Any) -> Any:
    """A frame number; 0 for the start of the clip, -1 for its end."""
    return _ENDS[value.strip().lower()] if isinstance(value, str) and value.strip().lower() in _ENDS else value


def _read_point(value: Any) -> Any:
    """A time as a mapping: a number is a frame, a text such as "mask 3 leaves" is what a mask does."""
    if isinstance(value, str) and (words := re.fullmatch(r"\s*(?:mask\s*)?#?(\d{1,9})\s+([a-z]+)\s*", value.lower())):
        return {"mask": int(words[1]), "does": words[2]}
    return value if value is None or isinstance(value, Mapping) else {"frame": whole_number(value)}


def _read_place(value: Any) -> Any:
    """A position in an order: 1 for "first", -1 for "last"."""
    return _PLACES.get(value.strip().lower(), value) if isinstance(value, str) else value


class RuleMoment(BaseModel):
    """A time as a model writes it; see `sam3agent.rule_terms.TimePoint`."""

    model_config = ConfigDict(frozen=True)

    mask: OneMaskId = None
    does: EventName | None = None
    frame: int | None = None

    def point(self) -> TimePoint:
        """The time that is meant."""
        return TimePoint(self.frame, self.mask, self.does)


Frame = Annotated[int | None, BeforeValidator(_read_frame)]
Position = Annotated[int, Field(ge=-64, le=64), BeforeValidator(_read_place)]
OneMoment = Annotated[RuleMoment | None, BeforeValidator(_read_point)]


class KeepRule(BaseModel):
    """One rule as a model writes it; see `sam3agent.constraints.Rule`."""

    model_config = ConfigDict(frozen=True)

    rule: RuleName
    count: int = Field(default=1, ge=1, le=64, description="How many.")
    position: Position = Field(default=1, description="Of an order: 2 starts at the second, -1 is the last.")
    of: MaskIds = Field(
        default_factory=list,
        description='Ids of the masks that it compares with; of "best", those that may be it, the likeliest first.',
    )
    drop: bool = Field(default=False, description="Leave these out, and keep the others.")
    at: Frame = Field(default=None, description="In a clip: the frame of a place; 0 is the start, -1 the end.")
    before: OneMoment = Field(default=None, description="In a clip: a frame, or what a mask does.")
    after: OneMoment = Field(default=None, description="In a clip: a frame, or what a mask does.")
    by: Reason = Field(default="", description='Of "best": in what, by eye, such as "friendliest".')
    side: SideName | None = Field(default=None, description="In a clip: where it enters or leaves.")

    def rule_of(self) -> Rule:
        """The rule that is meant. Without a position or a count, an event means all that do it."""
        ordered = {"position", "count"} & self.model_fields_set
        position = (self.position or 1) if self.rule not in AT_MOMENTS or ordered else 0
        before, after = (moment.point() if moment else None for moment in (self.before, self.after))
        return Rule(
            self.rule,
            self.count,
            position,
            tuple(self.of),
            drop=self.drop,
            at=self.at,
            before=before,
            after=after,
            side=self.side,
            by=self.by,
        )


KeepRules = Annotated[list[KeepRule], BeforeValidator(_read_rules), Field(max_length=6)]


def without_time(schema: Any) -> Any:
    """A schema in which rules have no parts that are about time, for images."""
    if isinstance(schema, list):
        return [without_time(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: without_time(value) for key, value in schema.items()}
    shapes = made.get("properties", {})
    if "rule" in shapes and "enum" in shapes["rule"]:
        names = [name for name in shapes["rule"]["enum"] if name not in TIME_RULES]
        kept = {name: shape for name, shape in shapes.items() if name not in _IN_CLIPS}
        made["properties"] = {**kept, "rule": {**shapes["rule"], "enum": names}}
    return made
