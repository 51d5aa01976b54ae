"""`doctor --probe`: what a server can do is found by trying, stored, and used by the agent."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sam3agent.cli.app import guarded
from sam3agent.cli.doctor import run_doctor
from sam3agent.mllm import errors
from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.mllm.probe import LONG_WORDS, ServerProbe, probe_server
from sam3agent.mllm.profile_store import profile_path, store_profile, stored_profile
from sam3agent.mllm.profiles import PROFILES
from sam3agent.mllm.transport import Endpoint
from tests.mllm.fault_server import Behaviour, FaultServer, Handler, body, completion, error, fault_server
from tests.mllm.test_openai_faults import question
from tests.mllm.test_server_habits import images, one_image_only, texts

QUICK = Endpoint(connect_s=1, read_s=20, reply_s=20, backoff_s=0.01, longest_pause_s=0.1)


def model(unless: Any = lambda _: None, **changes: Any) -> Behaviour:
    """Does what a probe asks for. changes: "tool", "text", "schema", "tokens" replace what it makes."""

    def play(handler: Handler) -> None:
        request = handler.owner.requests[-1]
        if (other := unless(request)) is not None:
            other(handler)
            return
        said = texts(request)
        words = "red blue" if images(request) > 1 else "red" if images(request) else "ready"
        calls: list[tuple[str, Any]] = []
        if "tools" in request:
            words, calls = "", [("select_masks", {"ids": changes.get("ids", [3])})]
        elif "JSON object" in said:
            words = '{"verdict": "accept"}'
        tokens = 40 + 70 * images(request) + said.count("yes ") + (90 if "tools" in request else 0)
        made = completion(changes.get("text", words), changes.get("calls", calls) if calls else [])
        made["usage"] = {"prompt_tokens": changes.get("tokens", tokens), "completion_tokens": 2}
        if said.count("yes ") and sum("yes yes" in texts(r) for r in handler.owner.requests) > 1:
            made["usage"]["prompt_tokens_details"] = {"cached_tokens": tokens - 16}
        body(json.dumps(made))(handler)

    return play


def probe(server: FaultServer) -> ServerProbe:
    return asyncio.run(probe_server(replace(QUICK, base_url=server.url), "test-model"))


def found(result: ServerProbe) -> dict[str, bool | None]:
    return {finding.name: finding.ok for finding in result.findings}


def detail(result: ServerProbe, name: str) -> str:
    return next(finding.detail for finding in result.findings if finding.name == name)


def test_a_capable_server() -> None:
    with fault_server(default=model()) as server:
        result = probe(server)
    assert set(found(result).values()) == {True} and result.usable
    assert result.profile.tools and result.profile.tool_choice == "required" and result.profile.many_images
    assert "prefix cache helps" in detail(result, "context")
    assert len(server.requests) <= 12


def test_a_server_that_takes_one_image() -> None:
    with fault_server(default=model(one_image_only)) as server:
        result = probe(server)
    assert result.usable and not result.profile.many_images
    assert "--limit-mm-per-prompt" in detail(result, "two images")


def test_a_server_that_drops_images_silently_is_found_by_its_token_counts() -> None:
    with fault_server(default=model(text="I see a green field.", tokens=40)) as server:
        result = probe(server)
    assert not result.usable
    assert "--mmproj" in detail(result, "one image")


def test_a_server_that_rejects_images() -> None:
    blind = error(500, "image input is not supported - hint: you may need to provide the mmproj")
    with fault_server(default=model(lambda request: blind if images(request) else None)) as server:
        result = probe(server)
    assert not result.usable and "--mmproj" in detail(result, "images")
    assert "two images" not in found(result) and found(result)["tools"]


def test_tools_that_are_dropped_are_described_in_the_prompt() -> None:
    with fault_server(default=model(text="I cannot.", calls=[])) as server:
        result = probe(server)
    assert not result.profile.tools and not result.profile.json_schema
    assert "--enable-auto-tool-choice" in detail(result, "tools") and "--jinja" in detail(result, "tools")


def test_a_forced_tool_that_fails_is_not_forced() -> None:
    def refuses(request: dict[str, Any]) -> Behaviour | None:
        return error(400, "tool_choice required is not supported") if request.get("tool_choice") == "required" else None

    with fault_server(default=model(refuses)) as server:
        result = probe(server)
    assert result.profile.tools and result.profile.tool_choice != "required"
    assert found(result)["forced tool"] is None


def test_a_scalar_in_place_of_a_list_is_told() -> None:
    with fault_server(default=model(ids=3)) as server:
        assert "scalar" in detail(probe(server), "tools")


@pytest.mark.parametrize(
    "short",
    [error(400, "This model's maximum context length is 4096 tokens."), body(json.dumps(
        completion("ready", usage=(4096, 1))))],
)  # fmt: skip
def test_a_context_that_is_too_short_or_cut_silently_is_told(short: Behaviour) -> None:
    def long(request: dict[str, Any]) -> Behaviour | None:
        return short if texts(request).count("yes ") >= LONG_WORDS else None

    with fault_server(default=model(long)) as server:
        result = probe(server)
    assert found(result)["context"] is not True and "--max-model-len" in detail(result, "context")


def test_a_reply_that_is_cut_off_says_nothing_about_tools_and_schemas() -> None:
    def cut(request: dict[str, Any]) -> Behaviour:
        tokens = 140 if "tools" in request else 40
        return body(json.dumps(completion('{"ver', finish="length", usage=(tokens, 512))))

    with fault_server(default=model(cut)) as server:
        result = probe(server)
    assert result.profile.tools and result.profile.json_schema
    assert found(result)["tools"] is None and found(result)["JSON schema"] is None


def test_words_in_the_reasoning_field_are_told() -> None:
    made = completion(None)
    made["choices"][0]["message"]["reasoning_content"] = "ready"
    with fault_server(default=body(json.dumps(made))) as server:
        assert "--reasoning-parser" in detail(probe(server), "text")


def test_a_model_that_thinks_first_has_tokens_for_it() -> None:
    with fault_server(default=model()) as server:
        asyncio.run(probe_server(replace(QUICK, base_url=server.url), "Qwen3-VL-8B-Thinking"))
        asyncio.run(probe_server(replace(QUICK, base_url=server.url), "test-model"))
    assert {request["max_tokens"] for request in server.requests} == {16384, 512}


@pytest.mark.parametrize("fault", [error(401), error(404), error(500), body("<html>")])
def test_a_server_that_answers_nothing_is_an_error(fault: Behaviour) -> None:
    with fault_server(default=fault) as server, pytest.raises(errors.MLLMError):
        probe(server)


def test_the_agent_uses_the_stored_profile_of_this_server_and_model_only() -> None:
    at = replace(QUICK, base_url="http://gpu-box:9999/v1")
    learned = replace(PROFILES["generic"], many_images=False, tools=False)
    path = store_profile(at, "m", learned)
    assert stored_profile(at, "m") == learned
    assert stored_profile(at, "other") is None
    assert stored_profile(replace(at, base_url="http://gpu-box:1/v1"), "m") is None
    path.write_text('{"version": 1, "url": "http://gpu-box:9999/v1", "profile": {"name": 3}}')
    assert stored_profile(at, "m") is None
    path.write_text("[" * 60_000)
    assert stored_profile(at, "m") is None
    assert path == profile_path(at, "m") and "secret" not in path.name


def test_a_question_starts_with_the_stored_profile() -> None:
    with fault_server() as server:
        at = replace(QUICK, base_url=server.url)
        store_profile(at, "test-model", replace(PROFILES["generic"], tools=False))
        asyncio.run(OpenAIBackend(at).decide(question()))
    assert "tools" not in server.requests[0]


def test_doctor_prints_and_stores_what_it_found(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with fault_server(default=model(one_image_only)) as server:
        code = run_doctor({"base_url": server.url}, as_json=False, probe=True)
        at = OpenAIBackend(Endpoint(server.url)).endpoint
        assert stored_profile(at, "test-model") == replace(
            PROFILES["generic"], many_images=False, tool_choice="required"
        )
    printed = capsys.readouterr().out
    assert code == 0
    assert "--limit-mm-per-prompt" in printed and str(tmp_path) in printed


def test_doctor_refuses_a_probe_without_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: run_doctor({}, as_json=False, probe=True)) == 2
    assert guarded(lambda: run_doctor({"base_url": "localhost:9"}, as_json=False)) == 2
    assert "did you mean http://localhost:9?" in capsys.readouterr().err
