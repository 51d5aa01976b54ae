"""The options that each kind of OpenAI-compatible server supports, and which option to drop when one is rejected.

A profile is the set of options that a request may use. When a server rejects an option, or ignores it, the option is
dropped for the lifetime of the backend, and the request is sent again without it.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

MANY_IMAGES, SYSTEM, TOOL_MESSAGES = "images", "system", "tool messages"
"""Names of options that are not fields of a request: several images in it, a system message, and earlier calls."""

SWITCHES = (
    "tools", "tool_messages", "json_schema", "temperature", "top_p", "top_k", "thinking", "many_images", "system",
)  # fmt: skip
"""Options of a profile that are sent or not; the others have a value."""

_FIELDS = {
    "json_schema": ("response_format",),
    "limit": ("max_tokens", "max_completion_tokens"),
    "many_images": (MANY_IMAGES,),
    "tool_messages": (TOOL_MESSAGES,),
    "thinking": ("chat_template_kwargs", "reasoning_effort"),
}
"""Fields of a request by the option that they come from, where the names differ."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The options of a server; one that is None is not sent.

    tools: whether to send the `tools` field; if not, the prompt describes the tools, and calls are read from the text.
    tool_messages: whether earlier calls and their results are sent as such; if not, in words. tool_choice: value of
    this field. parallel_tool_calls: False requests one call at a time. json_schema: whether to send the schema as
    `response_format`; if not, the prompt contains it. limit: name of the field with the maximum number of tokens.
    many_images: whether a request may have several images; if not, they are pasted into one. system: whether there may
    be a system message; if not, its text begins the first message of the user. temperature, top_p, top_k, thinking:
    whether these may be sent; their values are those of the model's family (`families`).
    """

    name: str
    tools: bool = True
    tool_messages: bool = True
    tool_choice: str | None = "required"
    parallel_tool_calls: bool | None = None
    json_schema: bool = True
    temperature: bool = True
    top_p: bool = True
    top_k: bool = True
    thinking: bool = True
    limit: str | None = "max_tokens"
    many_images: bool = True
    system: bool = True


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("generic", tool_choice="auto"),
        Profile("vllm", parallel_tool_calls=False),
        Profile("ollama", tool_choice=None),
        Profile("lmstudio"),
        Profile("llamacpp"),
        Profile("openai", parallel_tool_calls=False, top_k=False, limit="max_completion_tokens"),
    )
}
_HOSTS = {"api.openai.com": "openai", "ollama.com": "ollama"}
_PORTS = {8000: "vllm", 11434: "ollama", 1234: "lmstudio", 8080: "llamacpp"}

NOTES = {
    "tools": "the server {cause} tools, so they are described in the prompt; for native calls start vLLM with "
    "--enable-auto-tool-choice --tool-call-parser NAME, llama.cpp with --jinja",
    "many_images": "the server takes one image per request, so images are pasted into one; for several start vLLM with "
    "--limit-mm-per-prompt '{{\"image\": 16}}'",
    "system": "the server takes no system message, so its text begins the first message",
}
"""What a user is told about an option that was dropped, and the flag that mends it."""

# What servers write (in `error.param` or the message) when they reject an option; the most specific pattern first.
_REFUSALS = (
    (
        "many_images",
        r"(at most|only|maximum of|more than|up to|limit of)\W+(1|one|a single|single)\W+(image|picture)"
        r"|limit.mm.per.prompt|(multiple|several|too many|many) images"
        r"|(one|single) image (per|at a time|only|is supported)|only \w+ (a single|one) image"
        r"|(number of|num_|maximum|max) ?images?\b"
        r"|image(\(s\)|s)?\W.{0,40}(at most|only|limit|exceed).{0,20}\b(1|one)\b",
    ),
    (
        "tool_messages",
        r"roles?\W.{0,60}\btool\b|\btool\b.{0,40}\b(role|message|result)|tool_call_id|tool_calls\b"
        r"|(roles?|messages?) must alternate",
    ),
    ("thinking", r"chat_template_kwargs|enable_thinking|reasoning.effort"),
    ("tool_choice", r"tool_choice"),
    ("parallel_tool_calls", r"parallel_tool_calls"),
    ("tools", r"\btools?\b|tool-call|function.?call"),
    ("json_schema", r"response_format|json_schema|structured.?output|guided|grammar"),
    ("top_k", r"top_k"),
    ("top_p", r"top_p"),
    ("temperature", r"temperature"),
    ("limit", r"max_tokens|max_completion_tokens"),
    ("system", r"system (role|message|prompt)|(roles?|messages?) must (alternate|start with)|'?system'? is not"),
)
_REFUSED = re.compile(
    r"not? (supported|support|implemented|allowed|valid)|unsupported|requires?|unknown|invalid|unexpected"
    r"|must alternate",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(r"context.?(length|size|window)", re.I)
_SEEING = r"(images?|vision|multi.?modal|visual)"
_CANNOT_SEE = re.compile(
    rf"mmproj|at most 0 image|{_SEEING}( \w+){{0,3}} (is|are)? ?(not|n't|un)\W?(supported|available|enabled|allowed)"
    rf"|(not?|n't|cannot|unable to) (support|accept|take|process|handle|allow|have)\w*( \w+){{0,3}} {_SEEING}"
    rf"|not (a )?(multi.?modal|vision)|no {_SEEING} (encoder|adapter|support|capab)|unsupported (media: )?{_SEEING}"
    r"|unknown variant .?image|image_url|only (supports? )?text|text.only|should be 'text'|required for image"
    r"|content.{0,40}(must be|should be|must have|expected|of type).{0,20}\bstring"
    r"|no endpoints found that support image"
    # what a program says that joins the texts of messages, and finds a list with an image instead
    r"|concatenate str|expected str instance|can only join|got '?list|'list' object has no",
    re.IGNORECASE,
)


def profile_for(base_url: str) -> Profile:
    """The profile for a URL: by host, else by the default port of a server, else `generic`."""
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port = "", 0
    return PROFILES[_HOSTS.get(host) or _PORTS.get(port, "generic")]


def cannot_see(complaint: str) -> bool:
    """Whether a server's message says that its model takes no images."""
    return bool(_CANNOT_SEE.search(complaint))


def refused_option(sent: Collection[str], complaint: str, *, certain: bool = True) -> str | None:
    """The option that a server's message rejects; None if it names no option that was sent.

    sent: names of the options in the request. complaint: the message, including `error.param`. certain: whether the
    status says that the request is at fault; if not, the message must say so.
    """
    if not certain and not _REFUSED.search(complaint):
        return None
    for option, pattern in _REFUSALS:
        if not any(field in sent for field in _FIELDS.get(option, (option,))):
            continue
        if option == "limit" and _TOO_LONG.search(complaint) and "too large" not in complaint:
            continue
        if re.search(pattern, complaint, re.IGNORECASE):
            return option
    return None


def step_down(profile: Profile, sent: Collection[str], complaint: str) -> Profile | None:
    """The profile without the option that a server's message rejects; None if it names no option that was sent."""
    option = refused_option(sent, complaint)
    if option is None:
        return None
    if option == "limit" and profile.limit == "max_tokens" and "max_completion_tokens" in complaint:
        return replace(profile, limit="max_completion_tokens")
    return replace(profile, **{option: False if option in SWITCHES else None})


def dropped_notes(before: Profile, after: Profile, cause: str = "rejects") -> tuple[str, ...]:
    """What to tell the user about the options that `after` lacks."""
    lost = (name for name in NOTES if getattr(before, name) and not getattr(after, name))
    return tuple(NOTES[name].format(cause=cause) for name in lost)
