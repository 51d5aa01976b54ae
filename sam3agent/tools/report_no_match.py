"""The tool `report_no_match`: the answer that nothing matches."""

from pydantic import Field

from sam3agent.states import NothingMatches
from sam3agent.tools.arguments import Reason
from sam3agent.tools.registry import Arguments, ToolResult, tool
from sam3agent.workbench import Workbench


class ReportNoMatch(Arguments):
    """Arguments of report_no_match."""

    what: str = Field(default="", max_length=200, description="What was sought, as a short noun phrase.")
    reason: Reason = Field(default="", description="What was searched for and is not in the image, in one sentence.")


@tool(rank=50, served=False, ends=True)
def report_no_match(bench: Workbench, args: ReportNoMatch) -> ToolResult:
    """After a search: answer that nothing in the image matches the question, and end."""
    return ToolResult(
        "no match", {"masks": [], "reason": args.reason}, NothingMatches(args.reason, args.what), bench.pool
    )
