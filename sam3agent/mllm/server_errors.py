"""What the error of a server means: which of our errors it becomes, and whether to try again.

An error counts by its status. Some gateways send one with status 200; then its inner code counts.
"""

import email.utils
import math
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sam3agent.mllm import errors
from sam3agent.mllm.endpoint import Endpoint
from sam3agent.mllm.profiles import cannot_see, refused_option
from sam3model.untrusted import clean_line

_CONTEXT = (
    r"context.?(length|size|window)|maximum model length|max_model_len|prompt (is )?too long"
    r"|exceeds? the available context|too many tokens"
)
_CODES = {
    "rate_limit": 429, "too_many": 429, "overloaded": 503, "unavailable": 503, "server_error": 500, "internal": 500,
    "timeout": 504, "context_length": 400, "invalid_request": 400, "bad_request": 400, "invalid_api_key": 401,
    "authentication": 401, "unauthorized": 401, "permission": 403, "not_found": 404,
}  # fmt: skip


class RefusedOptionError(errors.MLLMRejectedError):
    """The request was rejected. The message may name an option that the server does not support."""


class TransientError(Exception):
    """A failure to retry. error: to raise after the last attempt. pause_s: the pause that the server requested."""

    def __init__(self, error: errors.MLLMError, pause_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause_s = pause_s


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error as a server reports it.

    status: HTTP status or inner code; 0 if none is known. sent: names of the options in the request. images: whether
    it had images.
    """

    status: int
    message: str
    retry_after: str | None = None
    sent: Collection[str] = ()
    images: bool = False

    def as_exception(self, at: Endpoint, model: str) -> Exception:
        """The exception to raise: an `MLLMError`, or a `TransientError` to try again."""
        shown, status, message = at.shown, self.status, self.message or "no message"
        option = None if status == 429 else refused_option(self.sent, message, certain=status in (400, 422))
        if self.images and option != "many_images" and cannot_see(message):
            return errors.MLLMCannotSeeError(
                f"The model at {shown} does not take images ({status}: {message}); serve a vision model "
                "(llama.cpp: add its projector with --mmproj FILE; vLLM, Ollama, LM Studio: choose a VL model)."
            )
        if status in (401, 403):
            return errors.MLLMKeyRefusedError(
                f"{shown} rejected the API key ({status}: {message}); set SAM3AGENT_API_KEY to a valid key."
            )
        if option:
            return RefusedOptionError(f"{shown} rejected the request ({status}: {message}); check the server's log.")
        return self._by_status(at, model, shown, message)

    def _by_status(self, at: Endpoint, model: str, shown: str, message: str) -> Exception:
        status = self.status
        if status == 404:
            return errors.MLLMUnknownModelError(
                f"{shown} does not have the model {model!r}, or is the wrong URL ({message}); "
                "check --model, and that --base-url ends in /v1."
            )
        if status != 429 and re.search(_CONTEXT, message, re.IGNORECASE):  # 429 counts the tokens of a minute
            return errors.MLLMContextError(
                f"The conversation exceeds the context length of {model!r} ({message}); serve the model with a longer "
                "context (vLLM: --max-model-len; llama.cpp: -c; Ollama: OLLAMA_CONTEXT_LENGTH), or use a smaller image."
            )
        if status in (408, 409, 425, 429) or status >= 500:
            return TransientError(
                errors.MLLMBusyError(
                    f"{shown} is overloaded or failing ({status}: {message}); try again later, or ask less at once."
                ),
                retry_after(self.retry_after),
            )
        if not status:
            return TransientError(
                errors.MLLMBadReplyError(f"{shown} returned an error: {message}; try again, or check its log.")
            )
        kind = RefusedOptionError if status in (400, 422) else errors.MLLMRejectedError
        return kind(f"{shown} rejected the request ({status}: {message}); check the server's log.")


def error_message(body: Any, otherwise: str = "") -> str:
    """The message in an error response, with the parameter and code that it names, on one line of 300 characters."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if isinstance(error, list) and error:  # several errors: the first says most
        return error_message(error[0], otherwise)
    if not isinstance(error, Mapping):
        return clean_line(str(error) if error else otherwise, 300)
    if not error.keys() & {"message", "detail", "msg"} and isinstance(error.get("errors"), list) and error["errors"]:
        return error_message(error["errors"][0], otherwise)
    message = error.get("message") or error.get("detail") or error.get("msg") or otherwise
    parts = [part if isinstance(part, str) else str(part)[:300] for part in (message, error.get("param")) if part]
    code = error.get("code")
    return clean_line(" ".join([*parts, *([code] if isinstance(code, str) and not code.isdigit() else [])]), 300)


def inner_error(body: Mapping[str, Any]) -> Any:
    """The error in the body of a response with status 200; None if the body is a completion."""
    choices = body.get("choices")
    if not choices and (body.get("error") or body.get("object") == "error"):
        return body.get("error") or body
    if not choices and any(body.get(name) for name in ("errors", "detail", "message", "msg")):
        return body
    first = choices[0] if isinstance(choices, list) and choices else None
    return first.get("error") if isinstance(first, Mapping) and not first.get("message") else None


def inner_status(error: Any) -> int:
    """The HTTP status that an error object stands for; 0 if it names none."""
    if not isinstance(error, Mapping):
        return 0
    for value in (error.get("code"), error.get("status"), error.get("status_code"), error.get("type")):
        text = str(value)[:60].lower()
        number = int(text) if text.isascii() and text.isdigit() else 0
        if 400 <= number < 600:
            return number
        if code := next((code for word, code in _CODES.items() if word in text), 0):
            return code
    return 0


def retry_after(value: str | None) -> float | None:
    """Seconds to wait according to a `Retry-After` header (seconds or a date); None if missing or invalid."""
    if not value or len(value) > 64:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError, OSError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
