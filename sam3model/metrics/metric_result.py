"""Base class of metric results: conversion to plain values, JSON and Markdown."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Convert numpy values and nested containers to JSON values; nan and infinity become None.

    >>> plain({"a": np.float64(0.5), "b": (np.int64(1), math.nan)})
    {'a': 0.5, 'b': [1, None]}
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def mean_of_defined(values: Any) -> float:
    """Mean of the defined entries (above -1); -1 if there are none.

    >>> mean_of_defined([0.5, 1.0, -1.0, math.nan])
    0.75
    >>> mean_of_defined([math.nan])
    -1.0
    """
    values = np.asarray(values, np.float64)
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else -1.0


class MetricResult:
    """Base of frozen result dataclasses; subclasses choose the headline figures in `summary`."""

    __slots__ = ()

    def summary(self) -> dict[str, float]:
        """Return the headline figures by name; by default, all scalar fields."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        values = {f.name: getattr(self, f.name) for f in fields}
        return {k: v for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {f.name: plain(getattr(self, f.name)) for f in fields}

    def to_json(self, indent: int | None = None) -> str:
        """Return the summary and all fields as JSON text."""
        return json.dumps({"summary": plain(self.summary()), **self.to_dict()}, indent=indent)

    def table(self, digits: int = 4) -> str:
        """Return the summary as a Markdown table."""
        cells = [(k, str(v) if isinstance(v, int) else f"{v:.{digits}f}") for k, v in self.summary().items()]
        wide = max((len(k) for k, _ in cells), default=6)
        lines = [f"| {'metric':<{wide}} | {'value':>10} |", f"|{'-' * (wide + 2)}|{'-' * 11}:|"]
        return "\n".join(lines + [f"| {k:<{wide}} | {v:>10} |" for k, v in cells])
