"""torch.compile on the heavy parts, and a record of the input shapes that made a part compile again."""

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any, Literal, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from sam3model.errors import ConfigError

_LOGGER = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=nn.Module)

CompileMode = Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]
PARTS = ("vision", "text", "fusion", "decoder", "segmentation.pixel_decoder")
"""The modules of `Sam3ImageModel` that are worth compiling; nearly all time is spent in them."""


def compile_wrapper(
    function: Callable[P, R],
    *,
    mode: CompileMode = "default",
    fullgraph: bool = False,
    dynamic: bool | None = None,
    name: str | None = None,
) -> Callable[P, R]:
    """Compile `function` at its first call; every new input shape that may compile it again is logged.

    Args:
        function: a function or bound method over tensors.
        mode: torch.compile's mode.
        fullgraph: refuse graph breaks.
        dynamic: torch.compile's dynamic shapes; None lets it decide.
        name: how the log calls it.
    """
    compiled = torch.compile(function, mode=mode, fullgraph=fullgraph, dynamic=dynamic)
    return shape_logging_wrapper(compiled, name=name or getattr(function, "__qualname__", "function"))


def shape_logging_wrapper(function: Callable[P, R], *, name: str) -> Callable[P, R]:
    """Call through to `function`, and log (level INFO) each combination of input shapes and types not seen before.

    The combinations seen so far, in order, are in the attribute `seen_shapes` of what is returned.
    """
    seen: dict[tuple[str, ...], None] = {}

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        signature = tuple(_describe(args)) + tuple(_describe(kwargs))
        if signature not in seen:
            seen[signature] = None
            _LOGGER.info("%s: input shapes number %d: %s", name, len(seen), ", ".join(signature) or "none")
        return function(*args, **kwargs)

    wrapped.seen_shapes = seen  # pyright: ignore[reportAttributeAccessIssue]
    return wrapped


def compile_model(model: M, *, mode: CompileMode = "default", parts: Iterable[str] = PARTS) -> M:
    """Compile the forward of the named submodules in place; names of parameters stay as they are.

    Raises:
        ConfigError: the model has no such part.
    """
    for part in parts:
        try:
            module = model.get_submodule(part)
        except AttributeError as error:
            raise ConfigError(f"the model has no part called {part!r}: choose from {', '.join(PARTS)}") from error
        module.forward = compile_wrapper(module.forward, mode=mode, name=part)
    return model


def _describe(value: Any) -> list[str]:
    """Shapes and types of all tensors in nested tuples, lists, dicts and dataclass-like values."""
    if isinstance(value, Tensor):
        return [f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _describe(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _describe(item)]
    if hasattr(value, "__dataclass_fields__"):
        return [text for field in value.__dataclass_fields__ for text in _describe(getattr(value, field))]
    return []
