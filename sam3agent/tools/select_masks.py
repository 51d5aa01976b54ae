"""The tool `select_masks`: the answer, or the masks to choose it from by rules that are computed."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sam3agent.constraints import MaskGroup, kept_by
from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.pool import listed_masks
from sam3agent.render import best_marks, fit, spotlight
from sam3agent.render.zoom import WHOLE_SIDE
from sam3agent.states import Selected
from sam3agent.tools.arguments import Phrases, Reason, UniqueMaskIds
from sam3agent.tools.evidence import known_candidates, summary
from sam3agent.tools.keep_rules import KeepRule, KeepRules
from sam3agent.tools.reading import phrases
from sam3agent.tools.registry import Arguments, ToolResult, tool
from sam3agent.workbench import Workbench


class OtherGroup(BaseModel):
    """A further group of masks, for a question that names several things."""

    model_config = ConfigDict(frozen=True)

    what: str = Field(default="", max_length=200)
    ids: UniqueMaskIds
    keep: KeepRules = Field(default_factory=list)


def _read_lines(value: Any) -> Any:
    """Remarks as a list of lines; they decide nothing, so any value is accepted."""
    lines = value if isinstance(value, list) else str(value).splitlines()
    return [str(line)[:200] for line in lines[:100]]


def _read_missing(value: Any) -> Any:
    """Phrases; none for an empty text."""
    return [p for p in phrases(value) if p] if value else []


class SelectMasks(Arguments):
    """Arguments of select_masks."""

    seen: Annotated[list[str], BeforeValidator(_read_lines)] = Field(
        default_factory=list,
        description='One short line per mask: its number and what it shows, e.g. "1 white player".',
    )
    what: str = Field(default="", max_length=200, description="What the masks show, without what `keep` says.")
    ids: UniqueMaskIds = Field(
        description="Ids of all masks that show it. They are the answer; with `keep`, it is chosen from them."
    )
    keep: KeepRules = Field(
        default_factory=list,
        description="Rules about order, place, size and nearness, applied exactly and in turn: "
        '"third player from the left" is {"rule": "leftmost", "position": 3}.',
    )
    others: Annotated[list[OtherGroup], Field(max_length=6)] = Field(
        default_factory=list, description="More groups, if the question names several things."
    )
    missing: Annotated[Phrases, Field(max_length=4), BeforeValidator(_read_missing)] = Field(
        default_factory=list, description="Short noun phrases of wanted things that have no mask yet."
    )
    reason: Reason = Field(default="", description="Why, in one sentence.")

    def groups(self) -> tuple[MaskGroup, ...]:
        """All groups, with their rules."""
        listed: Sequence[tuple[str, list[int], list[KeepRule]]] = [
            (self.what, self.ids, self.keep),
            *((other.what, other.ids, other.keep) for other in self.others),
        ]
        return tuple(
            MaskGroup(
                " ".join(what.split()),
                tuple(ids),
                tuple(rule.rule_of() for rule in rules),
            )
            for what, ids, rules in listed
        )


@tool(rank=40, ends=True)
def select_masks(bench: Workbench, args: SelectMasks) -> ToolResult:
    """Answer the question with these masks. They may come from different phrases.

    State order, place, size and nearness as rules in `keep`; they are computed from the masks.
    """
    groups = args.groups()
    named = dict.fromkeys(i for g in groups for i in (*g.ids, *(i for rule in g.rules for i in rule.of)))
    known_candidates(bench, tuple(named))
    ids = tuple(dict.fromkeys(c.id for group in groups for c in _chosen(bench, group)))
    event = Selected(ids, args.reason, groups, tuple(args.missing))
    if not ids:
        return ToolResult("the rules in keep leave no mask", {"masks": [], "reason": args.reason}, event, bench.pool)
    candidates = known_candidates(bench, ids)
    frame, marks = best_marks([(candidate.id, candidate.masklet) for candidate in candidates])
    image = LazyImage(
        EvidenceKey(frame, tuple(mark.id for mark in marks), "selected"),
        lambda: spotlight(*fit(bench.media.frame(frame), marks, WHOLE_SIDE)),
    )
    data: Mapping[str, Any] = {"masks": [summary(c) for c in candidates], "reason": args.reason}
    return ToolResult(f"selected {listed_masks(ids)}", data, event, bench.pool, (image,))


def _chosen(bench: Workbench, group: MaskGroup) -> Sequence[Any]:
    """The masks of a group that its rules keep, in the order that was given without rules."""
    members = known_candidates(bench, group.ids)
    return kept_by(group.rules, members, bench.pool) if group.rules else members
