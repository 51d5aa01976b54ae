"""The typed registry: a function, a pydantic model of its arguments and a docstring are one tool.

    @tool(ends=True)
    def select_masks(bench: Workbench, args: SelectMasks) -> ToolResult:
        '''Answer with these masks. …'''

A tool is one file in this package; `all_tools()` imports every file and returns the tools in the order of their `rank`.
The schema sent to an MLLM, the MCP tool and the reference printed by `sam3agent tools` come from the one definition.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict

from sam3agent.images import LazyImage
from sam3agent.mllm.base import ToolSchema
from sam3agent.pool import MaskPool
from sam3agent.states import Event
from sam3agent.tools.reading import ToolUseError, read_model
from sam3agent.workbench import Workbench

__all__ = ["Arguments", "Tool", "ToolResult", "ToolUseError", "all_tools", "plain_schema", "tool", "tool_reference"]

Cost = Literal["free", "segmenter"]
"""What a call uses up: nothing, or segmenter calls (their number is in the result)."""


class Arguments(BaseModel):
    """Base class of argument models: frozen. Unknown arguments are dropped when they are read (`tools.reading`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, eq=False, slots=True)
class ToolResult:
    """The result of a tool call.

    text: a sentence or table for a model. data: the same as JSON values (MCP's structured content). event: what the
    call means to the agent. pool: the candidates afterwards. images: rendered only if somebody looks at them.
    segmenter_calls: number of segmenter calls used.
    """

    text: str
    data: Mapping[str, Any]
    event: Event
    pool: MaskPool
    images: tuple[LazyImage, ...] = ()
    segmenter_calls: int = 0


A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True)
class Tool(Generic[A]):
    """One tool.

    description: the docstring of the function. arguments: the model of its arguments. rank: position in lists of tools.
    cost: what a call uses up. served: whether the MCP server offers it. ends: whether it ends the question.
    needs_clip: whether it works on clips only. edits: whether it changes the masks; those that search do. progress: a
    status line for a call. prepared: the arguments as they will be used; raises `ToolUseError` if none are.
    """

    name: str
    description: str
    arguments: type[A]
    run: Callable[[Workbench, A], ToolResult]
    rank: int = 100
    cost: Cost = "free"
    served: bool = True
    ends: bool = False
    needs_clip: bool = False
    edits: bool = False
    progress: Callable[[A], str] | None = None
    prepared: Callable[[Workbench, A], A] = lambda _, arguments: arguments

    @property
    def schema(self) -> ToolSchema:
        """The tool as a model sees it."""
        return ToolSchema(self.name, self.description, plain_schema(self.arguments))

    def example(self, ids: Sequence[int] = ()) -> dict[str, Any]:
        """Arguments as a model may write them; `ids` are those of existing masks."""
        shapes = self.schema.parameters.get("properties", {})
        names = self.schema.parameters.get("required") or list(shapes)[:1]
        return {name: _sample(shapes[name], ids) for name in names}

    def fits(self, bench: Workbench) -> bool:
        """Whether it is of use on a medium: a tool for clips needs several frames and a tracker."""
        return not self.needs_clip or (bench.media.count > 1 and bench.tracker is not None)

    def read(self, arguments: str | Mapping[str, Any]) -> tuple[A, tuple[str, ...]]:
        """Validated arguments from text or a mapping, and the names of those dropped. Raises `ToolUseError`."""
        return read_model(self.arguments, arguments, f"arguments of {self.name}")

    def parse(self, arguments: str | Mapping[str, Any]) -> A:
        """Validated arguments from text or a mapping. Raises `ToolUseError`."""
        return self.read(arguments)[0]

    def call(self, bench: Workbench, arguments: str | Mapping[str, Any]) -> ToolResult:
        """Parse, prepare and run. Raises `ToolUseError` for errors of the caller."""
        return self.run(bench, self.ready(bench, self.parse(arguments)))

    def ready(self, bench: Workbench, arguments: A) -> A:
        """The arguments as they will be used. Raises `ToolUseError` if they cannot be, or the tool needs a clip."""
        if self.needs_clip and bench.media.count < 2:
            raise ToolUseError(f"{self.name} needs a clip, and this is an image: use another tool")
        return self.prepared(bench, arguments)


def _sample(shape: Mapping[str, Any], ids: Sequence[int]) -> Any:
    """A value of a JSON schema: of numbers, the first ids."""
    numbers = list(ids[:2]) or [1]
    if shape.get("type") == "array" and shape["items"].get("type") == "integer":
        missing = shape.get("minItems", 1) - len(numbers)
        return numbers + [max(numbers) + i + 1 for i in range(missing)]
    if shape.get("type") == "array":
        return ["NOUN PHRASE"]
    return numbers[0] if shape.get("type") == "integer" else "WHY"


class Registry(dict[str, Tool[Any]]):
    """Tools by name; an unknown name raises `ToolUseError`."""

    def __missing__(self, name: str) -> Tool[Any]:
        raise ToolUseError(f"there is no tool {name!r}; the tools are {', '.join(self)}")


_DEFINED: dict[str, Tool[Any]] = {}

Function = Callable[[Workbench, A], ToolResult]


def tool(
    *,
    rank: int = 100,
    cost: Cost = "free",
    served: bool = True,
    ends: bool = False,
    needs_clip: bool = False,
    edits: bool = False,
    progress: Callable[[Any], str] | None = None,
    prepared: Callable[[Workbench, Any], Any] = lambda _, arguments: arguments,
) -> Callable[[Function[A]], Tool[A]]:
    """Decorator: define a tool from a function `(bench, args: Model) -> ToolResult` with a docstring; see `Tool`."""

    def define(run: Function[A]) -> Tool[A]:
        hints = get_type_hints(run)
        arguments = hints[list(inspect.signature(run).parameters)[1]]
        description = inspect.cleandoc(run.__doc__ or "")
        changes = edits or cost == "segmenter"
        made = Tool(
            run.__name__, description, arguments, run, rank, cost, served, ends, needs_clip, changes, progress, prepared
        )
        _DEFINED[made.name] = made
        return made

    return define


@cache
def all_tools() -> Registry:
    """Every tool defined by a file of this package."""
    import sam3agent.tools as package

    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    return Registry({made.name: made for made in sorted(_DEFINED.values(), key=lambda made: (made.rank, made.name))})


def plain_schema(model: type[BaseModel]) -> dict[str, Any]:
    """A JSON schema without `title` keys, which cost tokens and carry no information."""

    def strip(node: Any, *, names: bool = False) -> Any:
        if isinstance(node, list):
            return [strip(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {key: strip(value, names=key == "properties") for key, value in node.items() if names or key != "title"}

    schema = model.model_json_schema()
    schema = strip(_inlined(schema, schema.pop("$defs", {})))
    schema.pop("description", None)
    return schema


def _inlined(node: Any, shared: Mapping[str, Any]) -> Any:
    """A schema with shared parts written out where they are used: small models and servers read that more surely."""
    if isinstance(node, list):
        return [_inlined(item, shared) for item in node]
    if not isinstance(node, dict):
        return node
    if name := node.get("$ref"):
        part = {key: value for key, value in shared[str(name).rpartition("/")[2]].items() if key != "description"}
        return _inlined(part, shared)
    return {key: _inlined(value, shared) for key, value in node.items()}


def tool_reference() -> str:
    """All tools as Markdown: description, arguments, cost, and who can call them."""
    parts = []
    for made in all_tools().values():
        notes = ["uses segmenter calls" if made.cost == "segmenter" else "free"]
        notes += ["clips only"] if made.needs_clip else []
        notes += ["ends the question"] if made.ends else []
        notes += ["agent and MCP" if made.served else "agent only"]
        lines = [f"## {made.name}", "", made.description, "", f"*{'; '.join(notes)}*"]
        required = made.schema.parameters.get("required", ())
        for name, shape in made.schema.parameters.get("properties", {}).items():
            need = "required" if name in required else "optional"
            lines.append(f"- `{name}` ({shape.get('type', 'value')}, {need}): {shape.get('description', '')}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
