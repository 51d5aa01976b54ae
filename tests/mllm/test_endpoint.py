"""The way to a server: URLs, proxies and certificates, and errors that name the variable and what to do."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from sam3agent.config import Settings
from sam3agent.mllm import errors
from sam3agent.mllm.endpoint import Endpoint, certificates, checked_url, is_loopback, proxy_for, request_url
from sam3agent.mllm.openai import OpenAIBackend
from sam3model.errors import ConfigError
from tests.mllm.fault_server import Behaviour, body, error, fault_server, reply
from tests.mllm.test_openai_faults import QUICK, question

PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("localhost:9", "did you mean http://localhost:9"),
        ("127.0.0.1:8000/v1", "did you mean http://127.0.0.1:8000/v1"),
        ("ftp://host/v1", "http://host/v1"),
        ("http://", "names no host"),
        ("http://127.0.0.1:99999/v1", "not a URL"),
        ("http://[::1", "not a URL"),
        ("", "http"),
    ],
)
def test_a_url_that_cannot_be_one_is_refused_before_anything_starts(url: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="--base-url") as caught:
        checked_url(url)
    assert hint in str(caught.value)
    if url:
        with pytest.raises(ConfigError):
            OpenAIBackend.from_settings(Settings(base_url=url), {})
        with pytest.raises(ConfigError, match="OPENAI_BASE_URL"):
            OpenAIBackend.from_settings(Settings(), {"OPENAI_BASE_URL": url})


def test_a_password_in_the_url_is_never_shown() -> None:
    client = OpenAIBackend(Endpoint("http://me:secret@127.0.0.1:1/v1"))
    assert "secret" not in client.name
    with pytest.raises(errors.MLLMUnreachableError) as caught:
        asyncio.run(client.decide(question()))
    assert "secret" not in str(caught.value) and "127.0.0.1:1" in str(caught.value)


@pytest.mark.parametrize("url", ["http://me:secret@[x/v1", "me:secret@x/v1", "http://me:secret@x:99999/v1"])
def test_a_password_in_an_invalid_url_is_not_shown_either(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.8.9.1", "::1", "a.localhost", "0.0.0.0", "::ffff:127.0.0.1"]
)
def test_this_machine_is_reached_without_a_proxy(host: str) -> None:
    assert is_loopback(host)
    url = f"http://{f'[{host}]' if ':' in host else host}:8000/v1"
    assert proxy_for(url, {"HTTP_PROXY": "nonsense://", "ALL_PROXY": "socks5://x:1"}) is None


def test_which_proxy_is_used() -> None:
    proxies = {"http_proxy": "http://p:1", "ALL_PROXY": "http://q:2"}
    assert proxy_for("http://far/v1", proxies) == "http://p:1"
    assert proxy_for("https://far/v1", proxies) == "http://q:2"
    assert proxy_for("http://far/v1", {"HTTP_PROXY": "p:3128"}) == "http://p:3128"
    assert proxy_for("http://far.example/v1", {**proxies, "NO_PROXY": "example"}) is None
    assert proxy_for("http://far/v1", {**proxies, "no_proxy": "*"}) is None
    assert not is_loopback("example.com")


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("HTTP_PROXY", "ftp://x", "NO_PROXY"),
        ("http_proxy", "http://x:99999", "NO_PROXY"),
        ("ALL_PROXY", "socks5://127.0.0.1:1", "pip install"),
        ("all_proxy", "socks9://user:secret@x", "unset"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(
    variable: str, value: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sam3agent.mllm.endpoint.find_spec", lambda _: None)
    monkeypatch.setenv(variable, value)
    client = OpenAIBackend(replace(QUICK, base_url="http://far.invalid/v1"), "m")
    for ask in (client.models, lambda: client.decide(question())):
        with pytest.raises(errors.MLLMUnreachableError, match=variable) as caught:
            asyncio.run(ask())
        assert remedy in str(caught.value) and "secret" not in str(caught.value)


def test_a_dead_proxy_is_named_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(errors.MLLMUnreachableError, match="NO_PROXY"):
        asyncio.run(OpenAIBackend(replace(QUICK, base_url="http://far.invalid/v1"), "m").decide(question()))


def test_a_server_on_this_machine_answers_whatever_the_proxies_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    with fault_server() as server:
        assert asyncio.run(OpenAIBackend(replace(QUICK, base_url=server.url), "m").decide(question())).text


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_missing_certificates_are_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "/nowhere/certs")
    with pytest.raises(errors.MLLMUnreachableError, match=f"{variable}.*does not exist"):
        asyncio.run(OpenAIBackend(replace(QUICK, base_url="https://far.invalid/v1"), "m").decide(question()))


def test_a_file_without_certificates_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    with pytest.raises(errors.MLLMUnreachableError, match="SSL_CERT_FILE"):
        certificates()


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:99999/v1",
        "http://other.invalid/v1",
        "file:///etc/passwd",
        "http://[::bad/",
        "",
        "//x" * 99,
    ],
)
def test_no_redirect_carries_the_image_to_another_host(location: str) -> None:
    with fault_server(default=body("", 307, Location=location)) as server:
        with pytest.raises(errors.MLLMRejectedError, match="redirects"):
            asyncio.run(OpenAIBackend(replace(QUICK, base_url=server.url), "m").decide(question()))
        assert len(server.requests) == 1


@pytest.mark.parametrize("query", ["", "?api-version=2"])
def test_a_redirect_names_the_base_url_to_set(query: str) -> None:
    moved = body("", 301, Location=f"https://far.invalid/v1/chat/completions{query}")
    with fault_server(default=moved) as server, pytest.raises(errors.MLLMRejectedError) as caught:
        asyncio.run(OpenAIBackend(replace(QUICK, base_url=server.url), "m").decide(question()))
    assert str(caught.value).endswith(f"set --base-url to https://far.invalid/v1{query}.")


def test_a_query_of_the_base_url_ends_every_url() -> None:
    url = "https://far.invalid/openai/?api-version=2024-10-21"
    assert request_url(url, "models") == "https://far.invalid/openai/models?api-version=2024-10-21"
    assert request_url(" http://localhost:1/v1/ ", "models") == "http://localhost:1/v1/models"


def test_a_redirect_within_the_server_is_followed() -> None:
    with fault_server(body("", 307, Location="/v1/other"), reply("here")) as server:
        assert asyncio.run(OpenAIBackend(replace(QUICK, base_url=server.url), "m").decide(question())).text == "here"


@pytest.mark.parametrize(
    ("listed", "kind"),
    [
        (b'{"data": [{"id": 3}]}', errors.MLLMBadReplyError),
        (b"[" * 100_000, errors.MLLMBadReplyError),
        (b'{"data": {"a": 1}}', errors.MLLMBadReplyError),
        (b'{"data": [{"id": "\\u001b[2Jm"}]}', errors.MLLMBadReplyError),
        (b"\xff\xfe", errors.MLLMBadReplyError),
        (b"<html>", errors.MLLMBadReplyError),
        (b'{"data": []}', errors.MLLMUnknownModelError),
    ],
)
def test_an_odd_model_list_is_one_clear_line(
    listed: bytes, kind: type[errors.MLLMError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.mllm.fault_server.Handler.do_GET", body(listed))
    with fault_server() as server, pytest.raises(kind) as caught:
        asyncio.run(OpenAIBackend(replace(QUICK, base_url=server.url)).decide(question()))
    assert "\x1b" not in str(caught.value) and "--model" in str(caught.value)


@pytest.mark.parametrize("pause", ["nan", "inf", "1e309", "9" * 5000, "-5", "Mon, 01 Jan 0001 00:00:00 -0000", "soon"])
def test_an_unreadable_retry_after_is_ignored(pause: str) -> None:
    with fault_server(error(429, Retry_After=pause), reply("now")) as server:
        client = OpenAIBackend(replace(QUICK, base_url=server.url), "m")
        assert asyncio.run(client.decide(question())).text == "now"


ENDLESS_SIZE = 64 << 20


def long_error(status: int) -> Behaviour:
    return body(b'{"error": "' + b"x" * ENDLESS_SIZE + b'"}', status)


@pytest.mark.parametrize("status", [400, 500])
def test_of_an_error_only_the_beginning_is_read(status: int) -> None:
    import tracemalloc

    failure = long_error(status)
    with fault_server(default=failure) as server:
        tracemalloc.start()
        with pytest.raises(errors.MLLMError):
            asyncio.run(OpenAIBackend(replace(QUICK, base_url=server.url, retries=0), "m").decide(question()))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < ENDLESS_SIZE / 4
