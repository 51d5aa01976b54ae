"""A Chat Completions server that does everything wrong that a server can, at random, between good replies.

`python -m tests.mllm.chaos_server` serves in a process of its own until its standard input ends, and prints its URL.
"""

import gzip
import json
import random
import re
import sys
from collections.abc import Callable
from typing import Any

from tests.mllm.fault_server import (
    Behaviour,
    Handler,
    body,
    completion,
    cut,
    delayed,
    endless,
    error,
    fault_server,
    hang_up,
    reply,
    silent,
)

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m\u202egnp.exe\u2066"
DEEP = "[" * 100_000


def good(handler: Handler) -> None:
    """What a sensible model replies: search, accept every mask, and select those that are there."""
    request = handler.asked
    if "response_format" in request:
        reply('{"reason": "it is one", "verdict": "accept"}')(handler)
    elif ids := sorted({int(number) for number in re.findall(r"- mask (\d+) ", json.dumps(request["messages"]))}):
        reply(calls=[("select_masks", {"ids": ids[:1], "reason": "the first"})])(handler)
    else:
        reply(calls=[("segment_phrase", {"phrases": ["player", "ball"]})])(handler)


def raw(data: bytes) -> Behaviour:
    """Send these bytes instead of a response, and close the connection."""

    def play(handler: Handler) -> None:
        handler.wfile.write(data)
        handler.close_connection = True

    return play


def dripping(data: bytes, pause: float = 0.2) -> Behaviour:
    """Send these bytes one by one."""

    def play(handler: Handler) -> None:
        handler.close_connection = True
        for place in range(len(data)):
            if handler.owner.stopping.wait(pause):
                return
            handler.wfile.write(data[place : place + 1])

    return play


def redirect(location: str, status: int = 307) -> Behaviour:
    return body("", status, Location=location)


def usage(tokens: Any) -> Behaviour:
    whole = {**completion("hello"), "usage": {"prompt_tokens": "N", "completion_tokens": "N", "total_tokens": "N"}}
    return body(json.dumps(whole).replace('"N"', str(tokens)))


def call(arguments: Any, name: str = "segment_phrase") -> Behaviour:
    return reply(calls=[(name, arguments)])


def verdict(text: str) -> Behaviour:
    return reply(json.dumps({"reason": text, "verdict": text}))


UNUSABLE: dict[str, Behaviour] = {
    "html": body("<html>login</html>", 200, "text/html"),
    "empty body": body(""), "no content": body("", 204), "bytes": body(bytes(range(256)) * 4),
    "not utf-8": body(b'{"choices":[{"message":{"content":"\xff\xfe\xc3"}}]}'),
    "deep list": body(DEEP), "deep object": body('{"a":' * 100_000), "number": body('{"choices":' + "9" * 9999 + "}"),
    "nan": body('{"choices": NaN}'), "list": body("[]"), "null": body("null"), "no choices": body('{"choices": []}'),
    "odd choices": body('{"choices": [[], {"message": 5}]}'), "surrogate error": body('{"error": "bad \\ud800"}'),
    "escapes in an error": body(json.dumps({"error": {"message": ESCAPES, "code": 503}})),
    "error as list": body('{"error": ["x", {"message": null}]}'), "huge error": body("x" * (8 << 20), 500),
    "big usage": usage("9" * 4299), "negative usage": usage(-5), "usage as text": usage('"many"'),
    "gzip bomb": body(gzip.compress(bytes(64 << 20)), Content_Encoding="gzip"),
    "not gzip": body("oh", Content_Encoding="gzip"), "unknown encoding": body("{}", Content_Encoding="br, zstd"),
    "cut": cut(), "hang up": hang_up(), "reset": raw(b""), "no http": raw(b"\x16\x03\x01\x02" + bytes(200)),
    "bad header": raw(b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n{}"), "status 999": raw(b"HTTP/1.1 999 X\r\n\r\n"),
    "long header": raw(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 400_000 + b"\r\n\r\n{}"),
    "two lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n{}"),
    "negative length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}"),
    "bad chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    "huge chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n"),
}  # fmt: skip

STATUSES: dict[str, Behaviour] = {
    **{f"status {code}": error(code, ESCAPES) for code in (400, 402, 403, 404, 413, 418, 422, 429, 500, 502, 503, 599)},
    "surrogate 400": body('{"error": {"message": "bad \\ud800"}}', 400), "deep 400": body('{"error":' + DEEP, 400),
    "odd 400": body('{"error": {"message": 5, "param": ["a"], "code": {"b": 1}}}', 400),
    **{f"retry after {text}": error(429, Retry_After=text) for text in ("nan", "-1", "inf", "0", "9" * 500, "99999")},
    "redirect out": redirect("http://127.0.0.1:9/v1"), "redirect to a port": redirect("http://127.0.0.1:99999/v1"),
    "redirect to nowhere": body("", 307), "redirect to a file": redirect("file:///etc/passwd"),
    "redirect in a circle": redirect("/v1/chat/completions"), "odd redirect": redirect("http://[::bad/"),
    "see other": redirect("/v1/models", 303),
}  # fmt: skip

SLOW: dict[str, Behaviour] = {
    "silent": silent(), "late": delayed(1.0, good), "endless": endless(), "endless error": endless(status=500),
    "endless fast": endless(0.0, b" " * 65536), "endless error fast": endless(0.0, b"x" * 65536, 500),
    "slow header": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
}  # fmt: skip

MISTAKES: dict[str, Behaviour] = {
    "nothing": reply(""), "talk": reply("The ball is in the middle."), "refusal": reply(refusal="I cannot."),
    "cut short": reply('{"name": "segment_ph', finish="length"), "no such tool": call({}, "teleport"),
    "escapes in a name": call({}, ESCAPES), "escapes in a key": call({"phrases": ["ball"], ESCAPES: 1}),
    "escapes in a phrase": call({"phrases": [ESCAPES]}), "surrogate": call('{"phrases": ["\\ud83d player"]}'),
    "deep arguments": call('{"phrases":' + DEEP), "not json": call("phrases=[ball"), "no arguments": call("null"),
    "long phrase": call({"phrases": ["very " * 2000 + "ball"]}), "many phrases": call({"phrases": ["a"] * 5000}),
    "unknown masks": call({"ids": [42, -1, 10**30], "reason": "x"}, "select_masks"),
    "all masks": call({"ids": list(range(5000)), "reason": "x"}, "select_masks"),
    "odd ids": call('{"ids": ["1", 1.5, null, NaN]}', "select_masks"),
    "no match": call({"reason": ESCAPES}, "report_no_match"),
    "template": call({"phrases": ["{{ 7 * 7 }}", "{% for i in range(10**9) %}x{% endfor %}"]}),
    "reject": verdict("reject"), "odd verdict": verdict("perhaps"), "escapes in a verdict": verdict(ESCAPES),
    "tags": reply("<tool_call>" * 2000), "braces": reply("{" * 20_000), "thinking": reply("<think>" + "hm " * 5000),
    "measure": call({"ids": [1] * 64}, "measure_masks"), "examine": call({"ids": [1] * 64}, "examine_masks"),
}  # fmt: skip

FAULTS = UNUSABLE | STATUSES | SLOW | MISTAKES


def chaos(seed: int = 0, faulty: float = 0.25, slow: float = 0.02) -> Behaviour:
    """Good replies, of which the fraction `faulty` is replaced by any fault, and `slow` by one that takes time."""
    chosen = random.Random(seed)
    quick = [name for name in FAULTS if name not in SLOW]

    def play(handler: Handler) -> None:
        drawn = chosen.random()
        if drawn < slow:
            SLOW[chosen.choice(list(SLOW))](handler)
        elif drawn < slow + faulty:
            FAULTS[chosen.choice(quick)](handler)
        else:
            good(handler)

    return play


def main(read: Callable[[], str] = sys.stdin.read) -> None:
    """Serve until standard input ends; forget requests, so that this process does not grow."""
    with fault_server(default=chaos()) as server:
        server.kept = 100
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        read()


if __name__ == "__main__":
    main()
