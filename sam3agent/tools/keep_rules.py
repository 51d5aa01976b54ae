"""Rules of order, place, size and nearness as a model writes them, for the arguments of tools."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sam3agent.constraints import COMPARING, Rule, RuleName
from sam3agent.tools.arguments import MaskIds


def _read_rule(value: Any) -> Any:
    """A rule written as text, such as "nearest to 3" or "largest 2", as a mapping; any other value unchanged."""
    if not isinstance(value, str):
        return value
    words = re.fullmatch(
        r"\s*([a-z]+(?:[ _](?:of|half|front|in|front_of))*)\W*(?:(?:to|of|mask)\W*)*([\d\s,]*)\W*", value.lower()
    )
    if not words:
        return {"rule": value}
    name, numbers = words[1].strip().replace(" ", "_"), [int(n) for n in re.findall(r"\d+", words[2])[:64]]
    name = name if name in ("left_of", "right_of", "in_front_of") else name.removesuffix("_of")
    if name in COMPARING or name == "not":
        return {"rule": name, "of": numbers}
    return {"rule": name, **({"count": numbers[0]} if numbers else {})}


def _read_rules(value: Any) -> Any:
    """A list of rules; one alone is a list of one."""
    if value in (None, "", "all"):
        return []
    return [_read_rule(item) for item in (value if isinstance(value, list) else [value])]


class KeepRule(BaseModel):
    """One rule as a model writes it; see `sam3agent.constraints.Rule`."""

    model_config = ConfigDict(frozen=True)

    rule: RuleName
    count: int = Field(default=1, ge=1, le=64, description="How many.")
    position: int = Field(default=1, ge=-64, le=64, description="Of an order: 2 starts at the second, -1 is the last.")
    of: MaskIds = Field(default_factory=list, description="Ids of the masks that it compares with.")
    drop: bool = Field(default=False, description="Leave these out, and keep the others.")

    def rule_of(self) -> Rule:
        """The rule that is meant."""
        return Rule(self.rule, self.count, self.position or 1, tuple(self.of), self.drop)


KeepRules = Annotated[list[KeepRule], BeforeValidator(_read_rules), Field(max_length=6)]
