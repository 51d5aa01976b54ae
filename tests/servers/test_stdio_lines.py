"""Odd messages on standard input are answered too."""

import json

import pytest

from sam3agent.servers.stdio_lines import MAX_DEPTH, repaired


@pytest.mark.parametrize("line", ['{"a": 1}\n', "no json \\ud800", '{"a": "é\\u00e9"}', "[" * 100_000, ""])
def test_other_lines_are_unchanged(line: str) -> None:
    assert repaired(line) == line


def test_single_surrogates_are_replaced_and_pairs_are_kept() -> None:
    repaired_line = repaired('{"id": 1, "a": "x\\ud800y", "b": "\\ud83d\\ude00", "c": "\\\\ud800"}')
    assert json.loads(repaired_line) == {"id": 1, "a": "x?y", "b": "\U0001f600", "c": "\\ud800"}
    repaired_line.encode()


def test_deep_values_are_cut_off() -> None:
    value = json.loads(repaired('{"id": 1, "a": ' + "[" * 300 + "]" * 300 + "}"))
    assert value["id"] == 1 and str(value).count("[") < MAX_DEPTH
