import json
from functools import cache
from pathlib import Path

import pytest

GOLDENS = Path(__file__).resolve().parents[1] / "goldens"


@cache
def golden(name: str):
    """A reference file, read once per process; tests must not modify it."""
    return json.loads((GOLDENS / name).read_text())


def close(actual, expected, tolerance=1e-9) -> None:
    """Assert that nested figures are close; "nan" and None both mean undefined."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            close(actual[key], value, tolerance)
    elif isinstance(expected, list):
        assert len(actual) == len(expected)
        for a, e in zip(actual, expected, strict=True):
            close(a, e, tolerance)
    elif expected in ("nan", None):
        assert actual is None or actual != actual
    else:
        assert actual == pytest.approx(expected, abs=tolerance, rel=0)
