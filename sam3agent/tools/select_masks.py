"""The tool `select_masks`: the answer, or the masks to choose it from by rules that are computed."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sam3agent.constraints import MaskGroup, Rule, kept_by, needs_paths, objection, proof, why_none
from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.pool import listed_masks
from sam3agent.render import best_marks, fit, spotlight
from sam3agent.render.zoom import WHOLE_SIDE
from sam3agent.states import Selected
from sam3agent.time_rules import with_paths
from sam3agent.tools.arguments import Phrases, Reason, UniqueMaskIds
from sam3agent.tools.evidence import known_candidates, summary
from sam3agent.tools.keep_rules import KeepRule, KeepRules
from sam3agent.tools.reading import phrases
from sam3agent.tools.registry import Arguments, ToolResult, ToolUseError, tool
from sam3agent.workbench import Workbench
from sam3model.errors import InputError


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
        description="Rules about order, place, size, nearness and, in a clip, time, applied exactly and in turn: "
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

    State order, place, size, nearness and what happens over time as rules in `keep`; they are computed from the masks.
    """
    groups = args.groups()
    bench = _ready(bench, groups)
    ids = tuple(dict.fromkeys(c.id for group in groups for c in _chosen(bench, group)))
    shown_by = proof(groups, ids, bench.pool) or "; ".join(filter(None, (why_none(g, bench.pool) for g in groups)))
    event = Selected(
        ids, _joined(args.reason, shown_by), groups, tuple(args.missing), bench.pool if needs_paths(groups) else None
    )
    data: dict[str, Any] = {"masks": [], "reason": args.reason}
    if not ids:
        text = f"the rules in keep leave no mask{f': {shown_by}' if shown_by else ''}"
        return ToolResult(text, data, event, bench.pool)
    candidates = known_candidates(bench, ids)
    frame, marks = best_marks([(candidate.id, candidate.masklet) for candidate in candidates])
    image = LazyImage(
        EvidenceKey(frame, tuple(mark.id for mark in marks), "selected"),
        lambda: spotlight(*fit(bench.media.frame(frame), marks, WHOLE_SIDE)),
    )
    data["masks"] = [summary(c, bench.media) for c in candidates]
    data |= {"proof": shown_by} if shown_by else {}
    return ToolResult(_joined(f"selected {listed_masks(ids)}", shown_by), data, event, bench.pool, (image,))


def _ready(bench: Workbench, groups: Sequence[MaskGroup]) -> Workbench:
    """The workbench with all that the rules of some groups need. Raises `ToolUseError` if a rule makes no sense."""
    rules = [rule for group in groups for rule in group.rules]
    points = [point.mask for rule in rules for point in (rule.before, rule.after) if point and point.mask]
    known_candidates(bench, tuple(dict.fromkeys([*(i for g in groups for i in g.ids), *_anchors(rules), *points])))
    for group in groups:
        members = known_candidates(bench, group.ids)
        for rule in group.rules:
            if why := objection(rule, members, bench.pool, bench.media.count):
                raise ToolUseError(why)
    if not needs_paths(groups):
        return bench
    try:
        return bench.with_pool(with_paths(bench.pool, bench.media))
    except InputError as error:
        raise ToolUseError(f"rules over time need all frames of the clip: {error}") from error


def _anchors(rules: Sequence[Rule]) -> list[int]:
    return [mask_id for rule in rules for mask_id in rule.of]


def _joined(said: str, computed: str) -> str:
    """What was said, and what was computed behind it."""
    return f"{said.rstrip('.')} ({computed})" if said and computed else said or computed


def _chosen(bench: Workbench, group: MaskGroup) -> Sequence[Any]:
    """The masks of a group that its rules keep, in the order that was given without rules."""
    members = known_candidates(bench, group.ids)
    return kept_by(group.rules, members, bench.pool) if group.rules else members
