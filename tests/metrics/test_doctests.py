import doctest
import importlib
import pkgutil

import pytest

import sam3model.metrics

MODULES = [m.name for m in pkgutil.iter_modules(sam3model.metrics.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(f"sam3model.metrics.{name}")).failed == 0
