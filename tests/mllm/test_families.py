"""Temperature, length and thinking follow the family of a model, what the user sets, and what the server takes."""

import asyncio
import json
import sys
import types
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from sam3agent.config import Settings
from sam3agent.mllm.families import LONG, SHORT, sampling_for
from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.mllm.profile_store import profile_path, stored_profile
from sam3agent.mllm.profiles import PROFILES
from sam3agent.mllm.transport import Endpoint
from sam3agent.mllm.vllm import ChatInput, VLLMEngine
from tests.mllm.fault_server import error, fault_server
from tests.mllm.test_openai_faults import QUICK, question

TEMPLATE = "chat_template_kwargs"


@pytest.mark.parametrize(
    ("model", "family", "temperature", "length"),
    [
        ("Qwen/Qwen3-VL-8B-Instruct", "qwen3-vl instruct", 0.0, SHORT),
        ("qwen3-vl:8b", "qwen3-vl instruct", 0.0, SHORT),
        ("Qwen/Qwen3-VL-30B-A3B-Thinking-FP8", "qwen3-vl thinking", 0.6, LONG),
        ("Qwen/Qwen3.5-27B", "qwen hybrid", 0.0, SHORT),
        ("Qwen2.5-VL-7B-Instruct-GGUF", "qwen2-vl", 0.0, SHORT),
        ("OpenGVLab/InternVL3_5-8B", "internvl", 0.0, SHORT),
        ("zai-org/GLM-4.5V", "glm-v hybrid", 0.0, SHORT),
        ("gpt-4o-mini", "gpt-4", 0.0, SHORT),
        ("gpt-5-mini", "openai reasoning", None, LONG),
        ("openai/o4-mini", "openai reasoning", None, LONG),
        ("claude-sonnet-4-5", "claude", 0.0, SHORT),
        ("gemini-2.5-flash", "gemini", None, LONG),
        ("moonshotai/Kimi-VL-A3B-Thinking", "other thinking", 0.6, LONG),
        ("test-model", "unknown", 0.0, SHORT),
        ("", "unknown", 0.0, SHORT),
    ],
)
def test_the_name_of_a_model_determines_its_family(
    model: str, family: str, temperature: float | None, length: int
) -> None:
    sampling = sampling_for(model)
    assert (sampling.family, sampling.temperature, sampling.max_tokens) == (family, temperature, length)


def test_thinking_is_switched_where_a_model_can_do_both() -> None:
    assert sampling_for("Qwen3.5-27B").thinking_fields() == {TEMPLATE: {"enable_thinking": False}}
    thinking = sampling_for("Qwen3.5-27B", thinking="on")
    assert thinking.thinking_fields() == {TEMPLATE: {"enable_thinking": True}}
    assert (thinking.temperature, thinking.max_tokens) == (0.6, LONG), "greedy thinking repeats itself"
    assert sampling_for("gpt-5").thinking_fields() == {"reasoning_effort": "low"}
    assert sampling_for("gpt-5", thinking="off").thinking_fields() == {"reasoning_effort": "minimal"}
    assert sampling_for("my-model", thinking="off").thinking_fields() == {TEMPLATE: {"enable_thinking": False}}
    fixed = sampling_for("Qwen3-VL-8B-Instruct", thinking="on")
    assert fixed == sampling_for("Qwen3-VL-8B-Instruct") and not fixed.thinking_fields()


def test_what_is_set_comes_first_and_a_second_look_keeps_its_temperature() -> None:
    own = sampling_for("Qwen3-VL-8B-Instruct", temperature=0.2, max_tokens=300)
    assert (own.temperature, own.max_tokens) == (0.2, 300)
    assert (own.at(None), own.at(0.7)) == (0.2, 0.7)
    assert sampling_for("x", temperature=1.2).at(0.7) == 1.2
    assert sampling_for("gpt-5").at(0.7) is None, "it rejects any temperature"


def sent(server: Any, model: str, at: Any = None, profile: str | None = "vllm", **drawn: Any) -> dict[str, Any]:
    backend = OpenAIBackend(replace(QUICK, base_url=server.url), model, profile=profile, **drawn)
    asyncio.run(backend.decide(question(temperature=at)))
    return server.requests[-1]


def test_requests_carry_what_the_family_and_the_server_take() -> None:
    with fault_server() as server:
        thinking = sent(server, "Qwen3-VL-8B-Thinking")
        assert [thinking[name] for name in ("temperature", "top_p", "top_k", "max_tokens")] == [0.6, 0.95, 20, LONG]
        assert "top_k" not in sent(server, "Qwen3-VL-8B-Thinking", profile="openai")
        instruct = sent(server, "Qwen3-VL-8B-Instruct", max_tokens=99)
        assert instruct["temperature"] == 0 and instruct["max_tokens"] == 99 and "top_p" not in instruct
        assert sent(server, "Qwen3-VL-8B-Instruct", at=0.7)["temperature"] == 0.7
        hosted = sent(server, "gpt-5-mini", at=0.7, profile="openai")
        assert "temperature" not in hosted and hosted["reasoning_effort"] == "low"
        assert hosted["max_completion_tokens"] == LONG
        assert sent(server, "Qwen3.5-9B")[TEMPLATE] == {"enable_thinking": False}


@pytest.mark.parametrize(
    ("refusal", "dropped", "kept"),
    [
        ("top_k: Extra inputs are not permitted", "top_k", "top_p"),
        ("`temperature` and `top_p` cannot both be specified for this model", "top_p", "temperature"),
        ("Unrecognized request argument supplied: chat_template_kwargs", TEMPLATE, "temperature"),
    ],
)
def test_what_a_server_refuses_is_dropped(refusal: str, dropped: str, kept: str) -> None:
    with fault_server(error(400, refusal)) as server:
        last = sent(server, "Qwen3.5-9B", thinking="on")
        assert dropped in server.requests[0] and dropped not in last and kept in last


def test_settings_reach_both_backends() -> None:
    drawn = Settings(model="Qwen3.5-9B", temperature=0.3, max_tokens=777, thinking="on")
    sampling = OpenAIBackend.from_settings(drawn, {}).sampling
    assert (sampling.temperature, sampling.max_tokens, sampling.thinks) == (0.3, 777, True)


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A stand-in for the library that keeps the parameters of every reply."""
    kept: list[dict[str, Any]] = []
    plain = types.SimpleNamespace
    modules = {
        "vllm": {"SamplingParams": lambda **given: kept.append(given)},
        "vllm.sampling_params": {"StructuredOutputsParams": lambda json: json},
    }
    for name, values in modules.items():
        module = types.ModuleType(name)
        module.__dict__.update(values)
        monkeypatch.setitem(sys.modules, name, module)
    first = plain(text="x", token_ids=(1,), finish_reason="stop")
    output = plain(outputs=[first], prompt_token_ids=(1,), num_cached_tokens=0)

    def chat(conversations: list[Any], *_: Any, **options: Any) -> list[Any]:
        kept.append(options)
        return [output] * len(conversations)

    monkeypatch.setattr(VLLMEngine, "_load", lambda _: plain(chat=chat))
    return kept


def test_the_engine_in_this_process_draws_as_the_family_does(vllm: list[dict[str, Any]]) -> None:
    engine = VLLMEngine("Qwen/Qwen3.5-9B", sampling=sampling_for("Qwen3.5-9B", max_tokens=55))
    engine.chat([ChatInput([], None), ChatInput([], {"type": "object"}, 0.7)])
    first, second, options = vllm
    assert (first["temperature"], second["temperature"], first["max_tokens"]) == (0.0, 0.7, 55)
    assert second["structured_outputs"] == {"type": "object"} and "top_p" not in first
    assert options[TEMPLATE] == {"enable_thinking": False}


def test_a_profile_of_an_older_version_is_read(tmp_path: Path) -> None:
    at = Endpoint("http://gpu-box:9999/v1")
    now = asdict(PROFILES["generic"])
    old = {name: now[name] for name in ("name", "tools", "tool_choice", "parallel_tool_calls", "json_schema", "limit")}
    old |= {"many_images": False, "system": True}
    path = profile_path(at, "m")
    path.parent.mkdir(parents=True, exist_ok=True)
    for temperature, sends in ((0.0, True), (None, False)):
        record = {"version": 1, "url": at.shown, "profile": {**old, "temperature": temperature}}
        path.write_text(json.dumps(record))
        assert stored_profile(at, "m") == replace(PROFILES["generic"], many_images=False, temperature=sends)
    path.write_text(json.dumps({"version": 1, "url": at.shown, "profile": {**old, "temperature": "hot"}}))
    assert stored_profile(at, "m") is None
