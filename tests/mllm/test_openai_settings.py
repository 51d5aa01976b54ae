"""URL, key and profile of the `openai` backend, and tool calls written as text."""

import time

import pytest
from pydantic import SecretStr

from sam3agent.config import Settings
from sam3agent.mllm.base import ToolCall
from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.mllm.profiles import profile_for
from sam3agent.mllm.tool_text import parse_tool_calls
from sam3model.errors import ConfigError


def endpoint(settings: Settings, environment: dict[str, str]) -> tuple[str, str]:
    made = OpenAIBackend.from_settings(settings, environment)._transport.endpoint
    return made.base_url, made.api_key


def test_flags_take_precedence_over_the_environment() -> None:
    theirs = {"OPENAI_BASE_URL": "http://theirs/v1", "OPENAI_API_KEY": "theirs"}
    mine = Settings(base_url="http://mine/v1", api_key=SecretStr("mine"))
    assert endpoint(mine, theirs) == ("http://mine/v1", "mine")
    assert endpoint(Settings(), theirs) == ("http://theirs/v1", "theirs")
    assert endpoint(Settings(), {"OPENAI_API_KEY": "theirs"}) == ("https://api.openai.com/v1", "theirs")
    assert endpoint(Settings(), {}) == ("http://127.0.0.1:8000/v1", "")


def test_a_key_for_one_server_is_not_sent_to_another() -> None:
    assert endpoint(Settings(base_url="http://elsewhere/v1"), {"OPENAI_API_KEY": "theirs"}) == (
        "http://elsewhere/v1",
        "",
    )


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("http://localhost:11434/v1", "ollama"),
        ("http://localhost:1234/v1", "lmstudio"),
        ("http://localhost:8000/v1", "vllm"),
        ("http://gpu-box:9999/v1", "generic"),
        ("http://host:port/v1", "generic"),
    ],
)
def test_the_url_determines_the_profile(url: str, name: str) -> None:
    assert profile_for(url).name == name


def test_an_unknown_profile_is_rejected() -> None:
    from sam3agent.mllm.transport import Endpoint

    with pytest.raises(ConfigError, match="vllm"):
        OpenAIBackend(Endpoint(), profile="vlm")


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>', [("f", '{"a": 1}')]),
        ('I call <tool_call>{"name": "f", "arguments": "{}"}</tool_call> now', [("f", "{}")]),
        ('<tool_call>{"name": "f", "arguments": {"a": 1}}', [("f", '{"a": 1}')]),
        (
            "<tool_call>\n<function=f>\n<parameter=ids>\n[1, 2]\n</parameter>\n<parameter=reason>\nit is\n</parameter>"
            "\n</function>\n</tool_call>",
            [("f", '{"ids": [1, 2], "reason": "it is"}')],
        ),
        ('<think><tool_call>{"name": "g"}</tool_call></think><tool_call>{"name": "f"}</tool_call>', [("f", "{}")]),
        ("<tool_call>{broken</tool_call>", []),
        ("<tool_call>[1]</tool_call>", []),
        ("plain text", []),
    ],
)
def test_calls_written_as_text(text: str, calls: list[tuple[str, str]]) -> None:
    assert list(parse_tool_calls(text)) == [ToolCall(*call) for call in calls]


@pytest.mark.parametrize(
    "text", ["<tool_call>x" + " " * 1_000_000 + "y", "<tool_call><function=f>" + "<parameter=a>" * 99_999]
)
def test_long_malformed_markup_is_parsed_quickly(text: str) -> None:
    started = time.process_time()
    parse_tool_calls(text)
    assert time.process_time() - started < 1
