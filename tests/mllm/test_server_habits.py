"""What servers do in practice: the agent steps down from the first replies, or stops at once with the cause."""

import asyncio
import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sam3agent.agent.budget import Budget
from sam3agent.answer import Answer
from sam3agent.api import Agent
from sam3agent.cli.app import app, guarded, main
from sam3agent.media import ImageMedia
from sam3agent.mllm import errors
from sam3agent.mllm.openai import OpenAIBackend
from sam3agent.mllm.profiles import Profile
from sam3agent.mllm.transport import Endpoint
from tests.drawn_match import drawing, segmenter
from tests.mllm.fault_server import Behaviour, FaultServer, Handler, body, completion, error, fault_server, reply

QUICK = Endpoint(connect_s=1, read_s=20, reply_s=20, retries=2, backoff_s=0.01, longest_pause_s=0.1)
SEARCH = ("segment_phrase", {"phrases": ["player in white"]})
SELECT = ("select_masks", {"ids": [1], "reason": "furthest left"})
VERDICT = '{"reason": "white kit", "verdict": "accept"}'


def ask(server: FaultServer, profile: Profile | None = None) -> Answer:
    backend = OpenAIBackend(replace(QUICK, base_url=server.url), "test-model", profile=profile)
    return Agent(segmenter(), backend, Budget(14, 6, 30)).ask(drawing(), "leftmost player in white")


def images(request: dict[str, Any]) -> int:
    contents = [message["content"] for message in request["messages"]]
    return sum(part["type"] == "image_url" for content in contents if isinstance(content, list) for part in content)


def texts(request: dict[str, Any]) -> str:
    return json.dumps(request["messages"], ensure_ascii=False)


def capable(*, unless: Any = lambda _: None) -> Behaviour:
    """Answers rightly, except where `unless` returns another behaviour for a request."""

    def play(handler: Handler) -> None:
        request = handler.owner.requests[-1]
        other = unless(request)
        if other is not None:
            other(handler)
        elif "Judge only this" in texts(request):
            reply(VERDICT)(handler)
        else:
            call = SELECT if "- mask 1" in texts(request) else SEARCH
            if request.get("tools"):
                reply(calls=[call])(handler)
            else:
                reply(f"<tool_call>{json.dumps({'name': call[0], 'arguments': call[1]})}</tool_call>")(handler)

    return play


def one_image_only(request: dict[str, Any]) -> Behaviour | None:
    return error(400, "At most 1 image(s) may be provided in one prompt.") if images(request) > 1 else None


@pytest.mark.parametrize(
    "complaint",
    ["At most 1 image(s) may be provided in one prompt.", "Exceeded maximum number of images: 2 > 1",
     "You can only provide a single image", "this model only supports one image"],
)  # fmt: skip
def test_several_images_are_pasted_into_one_for_a_server_that_takes_one(complaint: str) -> None:
    def refuses(request: dict[str, Any]) -> Behaviour | None:
        return error(400, complaint) if images(request) > 1 else None

    with fault_server(default=capable(unless=refuses)) as server:
        answer = ask(server)
    assert (answer.status, [mask.id for mask in answer.masks]) == ("answered", [1])
    (warning,) = answer.warnings
    assert "--limit-mm-per-prompt" in warning
    assert images(server.requests[-1]) == 1
    assert "Image 2: see the part with this number" in texts(server.requests[-1])
    assert server.requests[-1]["messages"][0] == server.requests[0]["messages"][0]


def test_a_server_that_drops_tools_silently_gets_them_in_words() -> None:
    def deaf(request: dict[str, Any]) -> Behaviour | None:
        return reply("On the left is a player.") if request.get("tools") else None

    with fault_server(default=capable(unless=deaf)) as server:
        answer = ask(server)
    assert (answer.status, [mask.id for mask in answer.masks]) == ("answered", [1])
    assert "tools" in server.requests[0] and "tools" not in server.requests[1]
    again = texts(server.requests[1])
    assert "You can call these tools" in again
    assert "A call looks like this" in again and '\\"name\\": \\"segment_phrase\\"' in again
    assert any("--enable-auto-tool-choice" in warning and "--jinja" in warning for warning in answer.warnings)


def test_one_lapse_of_a_model_that_calls_tools_changes_nothing() -> None:
    with fault_server(reply(calls=[SEARCH]), default=capable(unless=lambda _: None)) as server:
        server.script += [reply(VERDICT), reply(VERDICT), reply("Well."), reply(calls=[SELECT])]
        answer = ask(server)
    assert answer.status == "answered" and not answer.warnings
    assert "tools" in server.requests[-1]


def test_images_are_drawn_away_from_the_event_loop(tmp_path: Path) -> None:
    """A server answers others while images of a question are drawn, encoded and written."""
    readers = set[threading.Thread]()

    class Noted(ImageMedia):
        def frame(self, t: int = 0) -> Image.Image:
            readers.add(threading.current_thread())
            return super().frame(t)

    search = ("segment_phrase", {"phrases": ["player in white"]})
    with fault_server(reply(calls=[search]), reply(calls=[SELECT])) as server:
        backend = OpenAIBackend(Endpoint(server.url), "m")
        answer = asyncio.run(
            Agent(segmenter(), backend).aask(Noted(drawing()), "leftmost player", out=tmp_path, save=False)
        )
    assert answer.status == "answered" and (tmp_path / "image.png").is_file()
    assert readers and threading.main_thread() not in readers


def test_no_complaint_repeats_byte_for_byte() -> None:
    with fault_server(default=reply("The leftmost one.")) as server:
        answer = ask(server)
    assert answer.status == "exhausted" and answer.failed
    assert len(server.raw) == 4 == len({texts(request) for request in server.requests})
    doubtful = ("select_masks", {"what": "player in white", "ids": [2], "keep": ["leftmost"]})
    with fault_server(reply(calls=[SEARCH]), reply(calls=[doubtful]), default=reply("hm")) as server:
        ask(server)
    judged = [texts(request) for request in server.requests if "Look at mask 1" in texts(request)]
    assert len(judged) == 4 == len(set(judged))


CANNOT_SEE = [
    error(500, "image input is not supported - hint: you may need to provide the mmproj"),
    error(500, 'can only concatenate str (not "list") to str'),
    error(400, "Invalid content type. image_url is only supported by certain models."),
    error(400, "this model does not support image inputs"),
    error(400, "m is not a multimodal model"),
    error(422, "messages: unknown variant `image_url`, expected `text`"),
    error(404, "No endpoints found that support image input"),
    error(400, "At most 0 image(s) may be provided in one prompt."),
    body('{"error": {"message": "The model does not support vision", "code": 400}}'),
    error(422, "messages.0.content: Input should be a valid string"),
    error(500, "'list' object has no attribute 'split'"),
    error(500, "sequence item 0: expected str instance, dict found"),
    error(400, "json: cannot unmarshal array into Go struct field Message.messages.content of type string"),
    error(500, "Model is not multimodal"),
    error(400, "Images are not allowed"),
]


@pytest.mark.parametrize("refusal", CANNOT_SEE)
def test_a_model_that_takes_no_images_ends_the_question_after_one_request(refusal: Behaviour) -> None:
    with fault_server(default=refusal) as server, pytest.raises(errors.MLLMCannotSeeError, match="--mmproj"):
        ask(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("refusal", "field"),
    [
        (error(500, "tools param requires --jinja flag"), "tools"),
        (error(500, "Invalid grammar: json_schema is not supported"), "response_format"),
        (error(400, "Only user and assistant roles are supported: system role not supported"), "system"),
    ],
)
def test_an_option_that_is_refused_with_any_status_is_dropped(refusal: Behaviour, field: str) -> None:
    def refuses(request: dict[str, Any]) -> Behaviour | None:
        has = request["messages"][0]["role"] == "system" if field == "system" else field in request
        return refusal if has else None

    with fault_server(default=capable(unless=refuses)) as server:
        answer = ask(server)
    assert (answer.status, [mask.id for mask in answer.masks]) == ("answered", [1])
    if field == "system":
        assert "You find objects in an image" in server.requests[-1]["messages"][0]["content"][0]["text"]


@pytest.mark.parametrize("code", [502, "429", "rate_limit_exceeded", "server_error"])
def test_an_error_inside_a_200_is_tried_again_by_its_inner_code(code: Any) -> None:
    failure = body(json.dumps({"error": {"message": "Provider returned error", "code": code}}))
    with fault_server(failure, default=capable()) as server:
        assert ask(server).status == "answered"
    nested = body(json.dumps({"choices": [{"error": {"message": "down", "code": code}, "finish_reason": "error"}]}))
    with fault_server(default=nested) as server:
        answer = ask(server)
    assert answer.failed and answer.status == "exhausted"
    assert len(server.requests) == 1 + QUICK.retries


@pytest.mark.parametrize(
    "written",
    [{"code": 429, "message": "slow down"}, {"detail": "slow down", "status": 503}, {"errors": [{"msg": "slow down"}]},
     {"error": [{"message": "slow down", "code": 429}]}, {"success": False, "errors": ["slow down"]}],
)  # fmt: skip
def test_an_error_inside_a_200_is_told_however_it_is_written(written: dict[str, Any]) -> None:
    with fault_server(body(json.dumps(written)), default=capable()) as server:
        assert ask(server).status == "answered"
    with fault_server(default=body(json.dumps(written))) as server:
        answer = ask(server)
    assert answer.failed and "slow down" in answer.reason


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (401, errors.MLLMKeyRefusedError),
        ("invalid_api_key", errors.MLLMKeyRefusedError),
        (404, errors.MLLMUnknownModelError),
    ],
)
def test_a_fatal_inner_code_ends_the_question_at_once(code: Any, kind: type[errors.MLLMError]) -> None:
    failure = body(json.dumps({"error": {"message": "no", "code": code}}))
    with fault_server(default=failure) as server, pytest.raises(kind):
        ask(server)
    assert len(server.requests) == 1


def test_the_answer_in_the_reasoning_field_is_read() -> None:
    def thinking(handler: Handler) -> None:
        request = handler.owner.requests[-1]
        made = completion(None)
        call = SELECT if "- mask 1" in texts(request) else SEARCH
        words = f"So: <tool_call>{json.dumps({'name': call[0], 'arguments': call[1]})}</tool_call>"
        judging = "Judge only this" in texts(request)
        made["choices"][0]["message"] |= {"reasoning": VERDICT} if judging else {"reasoning_content": words}
        body(json.dumps(made))(handler)

    with fault_server(default=thinking) as server:
        answer = ask(server)
    assert (answer.status, [mask.id for mask in answer.masks]) == ("answered", [1])


def test_a_question_with_one_usable_reply_has_not_failed() -> None:
    with fault_server(reply(calls=[SEARCH]), default=error(500)) as server:
        answer = ask(server)
    assert answer.status == "exhausted" and not answer.failed


def command(*words: object) -> int:
    """The exit code of a command of sam3agent."""
    return guarded(lambda: app(args=[str(word) for word in words], prog_name="sam3agent", standalone_mode=False))


@pytest.fixture
def _drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The command line with the drawn match in place of weights; the path of its image."""
    monkeypatch.setattr("sam3agent.api.make_segmenter", lambda *_: segmenter())
    monkeypatch.chdir(tmp_path)
    drawing().save(tmp_path / "match.png")
    return tmp_path / "match.png"


@pytest.mark.parametrize("fault", [error(500), reply("I do not know."), body('{"error": "down"}'), CANNOT_SEE[0]])
def test_the_command_ends_with_1_if_no_reply_was_usable(_drawn: Path, fault: Behaviour) -> None:
    with fault_server(default=fault) as server:
        assert (
            command("ask", _drawn, "leftmost player", "--base-url", server.url, "--model", "m", "--max-seconds", 4) == 1
        )


def test_the_time_of_a_command_counts_from_its_own_start(_drawn: Path) -> None:
    with fault_server(default=reply(calls=[("report_no_match", {"reason": "none"})])) as server:
        for pause in (1.6, 0.0):
            words = ["ask", str(_drawn), "leftmost player", "--base-url", server.url, "--model", "m"]
            with pytest.raises(SystemExit) as end:
                main([*words, "--max-seconds", "1.5"])
            assert end.value.code == 0
            time.sleep(pause)


def test_surrogates_of_a_server_end_in_valid_json(_drawn: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    words = '{"reason": "a \\ud800 \\u202eb \\u001b[2J"}'
    search = reply(calls=[("segment_phrase", {"phrases": ["unicorn"]})])
    with fault_server(search, default=reply(calls=[("report_no_match", words)])) as server:
        code = command("ask", _drawn, "leftmost player", "--base-url", server.url, "--model", "m", "--json")
    printed = capfdbinary.readouterr().out
    assert code == 0
    assert json.loads(printed)["reason"] == "a b [2J"


def test_a_url_without_scheme_ends_with_2_at_once(_drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("ask", "match.png", "ball", "--base-url", "localhost:9") == 2
    assert "did you mean http://localhost:9?" in capsys.readouterr().err
