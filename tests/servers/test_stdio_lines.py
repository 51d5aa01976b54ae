"""Odd messages on standard input are answered too."""

import json
from typing import Any

import pytest

from sam3agent.servers.stdio_lines import INVALID_REQUEST, MAX_DEPTH, PARSE_ERROR, Refusal, read_messages, repaired


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


PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.mark.parametrize(
    "line",
    ["\ufeff" + json.dumps(PING), '{"id": 1, "method": "ping"}', '{"jsonrpc": "1.0", "id": 1, "method": "ping"}',
     '{"jsonrpc": "2.0", "id": 1.0, "method": "ping"}', f"[{json.dumps(PING)}]"],
)  # fmt: skip
def test_requests_in_odd_forms_are_mended(line: str) -> None:
    (message,) = read_messages(line)
    assert isinstance(message, str) and json.loads(message) == PING


def test_a_batch_is_several_messages() -> None:
    messages = read_messages(json.dumps([PING, {"jsonrpc": "2.0", "method": "notifications/initialized"}, 5]))
    assert [isinstance(message, str) for message in messages] == [True, True, False]


@pytest.mark.parametrize(
    ("line", "code", "id"),
    [
        ("no json", PARSE_ERROR, None),
        ("[" * 100_000, PARSE_ERROR, None),
        ("5", INVALID_REQUEST, None),
        ("[]", INVALID_REQUEST, None),
        ('{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', INVALID_REQUEST, None),
        ('{"jsonrpc": "2.0", "id": null, "method": "ping"}', INVALID_REQUEST, None),
        ('{"jsonrpc": "2.0", "id": true, "method": "ping"}', INVALID_REQUEST, None),
        ('{"jsonrpc": "2.0", "id": "a", "method": "ping", "params": []}', INVALID_REQUEST, "a"),
        ('{"jsonrpc": "2.0", "id": 1e400, "method": "ping"}', INVALID_REQUEST, None),
    ],
)
def test_what_is_no_message_is_refused(line: str, code: int, id: Any) -> None:
    (refusal,) = read_messages(line)
    assert isinstance(refusal, Refusal) and (refusal.code, refusal.id) == (code, id)


@pytest.mark.parametrize("line", ["", " \n", '{"method": "m", "params": []}', '{"id": 1, "error": "odd"}'])
def test_nothing_is_said_to_empty_lines_notifications_and_responses(line: str) -> None:
    assert read_messages(line) == []
