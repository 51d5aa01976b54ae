"""The design as the code has it: documented layers are the checked ones, and a name means one thing."""

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("sam3agent", "sam3model", "train", "evals")

SHARED_FILE_NAMES = {"__init__.py", "__main__.py", "app.py", "config.py", "errors.py"}
"""File names that mean the same in every package."""


def layers(package: str) -> list[set[str]]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (found,) = [contract["layers"] for contract in contracts if contract.get("containers") == [package]]
    return [set(re.split(r"[ |]+", layer)) for layer in found]


@pytest.mark.parametrize("package", ["sam3agent", "sam3model"])
def test_the_documented_layers_are_the_checked_ones(package: str) -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    block = text.split(f"Inside `{package}`", 1)[1].split("```")[1]
    documented = [set(re.split(r" \| ", re.split(r"  +", line)[0])) for line in block.strip().splitlines()]
    assert documented == layers(package)


def test_no_two_classes_share_a_name() -> None:
    places = defaultdict(list)
    for path in (path for package in PRODUCT for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_a_file_name_says_what_the_file_holds() -> None:
    """Inside one package, two files have the same name only where they are parallel, such as a reader and a scorer.

    A command and a tool that do the same have the same name.
    """
    parallel = {frozenset({"readers", "scorers"}), frozenset({"readers", "video"}), frozenset({"cli", "tools"})}
    for package in PRODUCT:
        places = defaultdict(set)
        for path in (ROOT / package).rglob("*.py"):
            places[path.name].add(path.parent.name)
        shared = {name: found for name, found in places.items() if len(found) > 1 and name not in SHARED_FILE_NAMES}
        assert {name: found for name, found in shared.items() if frozenset(found) not in parallel} == {}
