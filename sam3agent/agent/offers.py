"""The tools as a model sees them under a policy: the same for every request of a question, so that its prefix is."""

from dataclasses import replace
from functools import lru_cache

from sam3agent.agent.policy import Policy
from sam3agent.mllm.base import ToolSchema
from sam3agent.tools.keep_rules import without_time
from sam3agent.tools.registry import all_tools
from sam3agent.workbench import Workbench

RULES = ("keep", "others")
"""Arguments of select_masks that a policy without computed facts does not offer."""


def offered_tools(bench: Workbench, policy: Policy) -> tuple[ToolSchema, ...]:
    """The tools that fit a medium, with the arguments that the policy uses.

    A model must write down what each mask shows before it chooses: `seen` is required of it, but not of other callers.
    """
    names = tuple(tool.name for tool in all_tools().values() if tool.fits(bench))
    return _offered(names, policy, bench.media.count > 1)


@lru_cache(maxsize=32)
def _offered(names: tuple[str, ...], policy: Policy, clip: bool) -> tuple[ToolSchema, ...]:
    schemas = []
    for tool in (all_tools()[name] for name in names):
        schema = tool.schema
        if tool.name == "select_masks":
            schema = _selecting(schema, policy)
        elif tool.name in ("segment_phrase", "track") and (policy.every or not policy.facts):
            schema = _without(schema, {"plan"})
        if not clip:
            schema = replace(schema, parameters=without_time(_without(schema, {"frame"}).parameters))
        schemas.append(schema)
    return tuple(schemas)


def _selecting(schema: ToolSchema, policy: Policy) -> ToolSchema:
    left_out: set[str] = set() if policy.facts else set(RULES)
    left_out |= set() if policy.hints else {"missing"}
    left_out |= {"seen", "what", "missing", *RULES} if policy.every else set()
    schema = _without(schema, left_out)
    required = [name for name in ("seen", "what", "ids") if name in schema.parameters["properties"]]
    return replace(schema, parameters={**schema.parameters, "required": required})


def _without(schema: ToolSchema, left_out: set[str]) -> ToolSchema:
    shapes = {name: shape for name, shape in schema.parameters["properties"].items() if name not in left_out}
    return replace(schema, parameters={**schema.parameters, "properties": shapes})
