"""Blocks that were tracked and measured, for rules over time."""

from collections.abc import Sequence

from sam3agent.tools.registry import all_tools
from sam3agent.workbench import Workbench


def measured(work: Workbench, ids: Sequence[int]) -> Workbench:
    """The workbench after all blocks were tracked, and the paths of those with these ids measured."""
    work = work.with_pool(all_tools()["track"].call(work, {"phrases": ["block"]}).pool)
    pool = all_tools()["select_masks"].call(work, {"ids": list(ids), "keep": ["fastest"]}).event.pool
    return work.with_pool(pool)
