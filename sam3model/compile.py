"""torch.compile for the heavy parts of a model, and a log of the input shapes that may trigger recompilation."""

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any, Literal, ParamSpec, TypeVar, get_args

import torch
from torch import Tensor

from sam3model.blocks import ModelWithBlocks
from sam3model.errors import ConfigError, InputError
from sam3model.structures import map_tensors

_LOGGER = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=ModelWithBlocks)

CompileMode = Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]

WITHOUT_GRAPHS: dict[CompileMode, CompileMode] = {
    "reduce-overhead": "default", "max-autotune": "max-autotune-no-cudagraphs",
}  # fmt: skip
"""Modes that record CUDA graphs, and those that differ in nothing else."""

GROWING = ("tracker",)
"""Parts whose input grows with objects and remembered frames: CUDA graphs would be recorded anew again and again."""

FIXED_SHAPES = ("vision",)
"""Parts that get a graph for every size of a batch. The others see any number of prompts, and one graph serves all."""


def usable_mode(mode: CompileMode, device: torch.device) -> CompileMode | None:
    """The mode for a device; None, with a line in the log, where compiling takes minutes and gains nothing.

    Raises:
        InputError: there is no such mode.
    """
    if mode not in get_args(CompileMode):
        raise InputError(f"unknown compile_mode {mode!r}: use one of {', '.join(get_args(CompileMode))}")
    if device.type == "cuda":
        return mode
    _LOGGER.warning("compile_mode is left out: compiling takes minutes and gains nothing on this device (%s)", device)
    return None


def compile_wrapper(
    function: Callable[P, R],
    *,
    mode: CompileMode = "default",
    fullgraph: bool = False,
    dynamic: bool | None = None,
    name: str | None = None,
) -> Callable[P, R]:
    """Compile `function` at its first call, and log every new input shape.

    Args:
        function: a function or bound method over tensors.
        mode: mode of torch.compile.
        fullgraph: raise an error at graph breaks.
        dynamic: dynamic shapes of torch.compile; None lets it decide.
        name: name of the function in the log.
    """
    compiled = torch.compile(function, mode=mode, fullgraph=fullgraph, dynamic=dynamic)
    if mode in WITHOUT_GRAPHS:
        compiled = _with_own_outputs(compiled)
    return shape_logging_wrapper(compiled, name=name or getattr(function, "__qualname__", "function"))


def shape_logging_wrapper(function: Callable[P, R], *, name: str) -> Callable[P, R]:
    """Wrap `function` to log (level INFO) each new combination of input shapes and types.

    The attribute `seen_shapes` of the wrapper has the combinations so far, in order.
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


def compile_model(model: M, *, mode: CompileMode = "default", parts: Iterable[str] | None = None) -> M:
    """Compile the forward of submodules in place; parameter names stay the same.

    parts: names of the submodules; by default those that the model declares in `blocks.compiled`.

    Raises:
        ConfigError: the model has no submodule of that name.
    """
    for part in model.blocks.compiled if parts is None else parts:
        try:
            module = model.get_submodule(part)
        except AttributeError as error:
            known = ", ".join(model.blocks.compiled)
            raise ConfigError(f"the model has no part called {part!r}: choose from {known}") from error
        fixed = part.removeprefix("detector.") in FIXED_SHAPES
        own_mode = WITHOUT_GRAPHS.get(mode, mode) if part.startswith(GROWING) else mode
        module.forward = compile_wrapper(module.forward, mode=own_mode, dynamic=False if fixed else None, name=part)
    return model


def _with_own_outputs(function: Callable[P, R]) -> Callable[P, R]:
    """Copy the outputs of a CUDA graph in inference: its next run would overwrite them, e.g. an encoded image."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.is_grad_enabled():
            return function(*args, **kwargs)
        torch.compiler.cudagraph_mark_step_begin()
        return map_tensors(function(*args, **kwargs), torch.Tensor.clone)

    return wrapped


def _describe(value: Any) -> list[str]:
    """Shapes and types of all tensors in nested tuples, lists, dicts and dataclasses."""
    if isinstance(value, Tensor):
        return [f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _describe(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _describe(item)]
    if hasattr(value, "__dataclass_fields__"):
        return [text for field in value.__dataclass_fields__ for text in _describe(getattr(value, field))]
    return []
