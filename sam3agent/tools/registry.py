"""The typed registry: function + pydantic argument model + docstring = one tool.

    @tool
    def select_masks(bench: Workbench, args: SelectMasks) -> ToolResult:
        '''Answer with these masks. …'''

`Tool.schema` is what a model is told (OpenAI), `Tool.arguments` is what an MCP server validates, `Tool.description`
is the docs. `REGISTRY` (in `sam3agent.tools.masks`) holds all of them. An MCP server keeps one `Workbench` per picture:

    tool = REGISTRY["segment_phrase"]
    result = tool.call(bench, {"phrases": ["player"]})      # raises ToolUseError: its text goes to the caller
    bench = bench.with_pool(result.pool)                    # ids stay valid in later calls
"""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError

from sam3agent.mllm.base import ToolSchema
from sam3agent.tools.workbench import ToolResult, Workbench
from sam3model.errors import Sam3Error


class ToolUseError(Sam3Error):
    """The caller's mistake (unknown tool, wrong arguments, no such mask), in one sentence that helps to do it right.

    The sentence may quote the caller, so it is cut to a bearable length and made safe to encode.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message[:500].encode("utf-8", "backslashreplace").decode("utf-8"))


class Arguments(BaseModel):
    """Base of argument models: unknown arguments are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True)
class Tool(Generic[A]):
    """One tool. `description` is the function's docstring; `arguments` the pydantic model of its arguments."""

    name: str
    description: str
    arguments: type[A]
    run: Callable[[Workbench, A], ToolResult]

    @property
    def schema(self) -> ToolSchema:
        """The tool as a model is told of it."""
        return ToolSchema(self.name, self.description, plain_schema(self.arguments))

    def parse(self, arguments: str | Mapping[str, Any]) -> A:
        """Validated arguments from JSON text or a mapping; raises `ToolUseError`."""
        return parse_model(self.arguments, arguments, f"arguments of {self.name}")

    def call(self, bench: Workbench, arguments: str | Mapping[str, Any]) -> ToolResult:
        """Parse and run; raises `ToolUseError` for the caller's mistakes."""
        return self.run(bench, self.parse(arguments))


class Registry(Mapping[str, Tool[Any]]):
    """Tools by name, in the order of their definition; an unknown name raises `ToolUseError`."""

    def __init__(self) -> None:
        self._tools: dict[str, Tool[Any]] = {}

    def tool(self, run: Callable[[Workbench, A], ToolResult]) -> Tool[A]:
        """Decorator: define a tool from a function `(bench, args: Model) -> ToolResult` with a docstring."""
        hints = get_type_hints(run)
        arguments = hints[list(inspect.signature(run).parameters)[1]]
        made = Tool(run.__name__, inspect.cleandoc(run.__doc__ or ""), arguments, run)
        self._tools[made.name] = made
        return made

    def __getitem__(self, name: str) -> Tool[Any]:
        if name not in self._tools:
            raise ToolUseError(f"there is no tool {name!r}; the tools are {', '.join(self._tools)}")
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools


M = TypeVar("M", bound=BaseModel)


def parse_model(model: type[M], value: str | Mapping[str, Any], what: str) -> M:
    """A validated model from JSON text or a mapping; raises `ToolUseError` with one line naming what is wrong."""
    try:
        data = json.loads(value) if isinstance(value, str) else dict(value)
    except (ValueError, RecursionError) as error:
        raise ToolUseError(f"{what}: this is not valid JSON ({error})") from error
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ToolUseError(f"{what}: {place + ': ' if place else ''}{first['msg']}") from error


def plain_schema(model: type[BaseModel]) -> dict[str, Any]:
    """A JSON schema without `title` keys, which cost tokens and say nothing."""

    def strip(node: Any, *, names: bool = False) -> Any:
        if isinstance(node, list):
            return [strip(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {key: strip(value, names=key == "properties") for key, value in node.items() if names or key != "title"}

    schema = strip(model.model_json_schema())
    schema.pop("description", None)
    return schema
