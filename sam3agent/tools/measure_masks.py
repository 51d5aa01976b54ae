"""The tool `measure_masks`: measurements of masks."""

from typing import Annotated, Any

from pydantic import Field

from sam3agent.states import Observed
from sam3agent.tools.arguments import MaskIds
from sam3agent.tools.evidence import known_candidates
from sam3agent.tools.mask_facts import MaskFacts, measure
from sam3agent.tools.registry import Arguments, ToolResult, tool
from sam3agent.workbench import Workbench


class MeasureMasks(Arguments):
    """Arguments of measure_masks."""

    ids: Annotated[MaskIds, Field(max_length=64)] = Field(
        default_factory=list, description="Ids of the masks to measure; empty for all."
    )


@tool(rank=30, progress=lambda _: "measuring masks")
def measure_masks(bench: Workbench, args: MeasureMasks) -> ToolResult:
    """Measure masks exactly: position, order from the left, from the top and by size, area, and colours."""
    facts = measure(bench, known_candidates(bench, args.ids or bench.pool.ids))
    text = "\n".join(fact.line() for fact in facts) or "there are no masks"
    return ToolResult(text, {"masks": [_to_json(fact) for fact in facts]}, Observed(text), bench.pool)


def _to_json(facts: MaskFacts) -> dict[str, Any]:
    return {
        "id": facts.id,
        "box": list(facts.box),
        **({} if facts.frame is None else {"frame": facts.frame}),
        "place": facts.place,
        "area_share": round(facts.area_ratio, 5),
        "rank_from_left": facts.from_left,
        "rank_from_top": facts.from_top,
        "rank_by_size": facts.from_largest,
        "colours": {name: round(ratio, 3) for name, ratio in facts.colours.items()},
    }
