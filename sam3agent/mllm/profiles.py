"""The options that each kind of OpenAI-compatible server supports, and which option to drop when one is rejected.

A profile is the set of options that a request may use. When a server answers 400 to an option, the option is dropped
for the lifetime of the backend, and the request is sent again without it.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Profile:
    """The options of a server; one that is None is not sent.

    tools: whether to send the `tools` field; if not, the prompt describes the tools, and calls are read from the text.
    tool_choice: value of this field. parallel_tool_calls: False requests one call at a time. json_schema: whether to
    send the schema as `response_format`; if not, the prompt contains it. limit: name of the field with the maximum
    number of tokens.
    """

    name: str
    tools: bool = True
    tool_choice: str | None = "required"
    parallel_tool_calls: bool | None = None
    json_schema: bool = True
    temperature: float | None = 0.0
    limit: str | None = "max_tokens"


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("generic", tool_choice="auto"),
        Profile("vllm", parallel_tool_calls=False),
        Profile("ollama", tool_choice=None),
        Profile("lmstudio"),
        Profile("llamacpp"),
        Profile("openai", parallel_tool_calls=False, temperature=None, limit="max_completion_tokens"),
    )
}
_HOSTS = {"api.openai.com": "openai", "ollama.com": "ollama"}
_PORTS = {8000: "vllm", 11434: "ollama", 1234: "lmstudio", 8080: "llamacpp"}

# What servers write (in `error.param` or the message) when they reject an option; the most specific pattern first.
_REFUSALS = (
    ("tool_choice", r"tool_choice"),
    ("parallel_tool_calls", r"parallel_tool_calls"),
    ("tools", r"\btools?\b|tool-call|function.?call"),
    ("json_schema", r"response_format|json_schema|structured.?output|guided|grammar"),
    ("temperature", r"temperature"),
    ("limit", r"max_tokens|max_completion_tokens"),
)


def profile_for(base_url: str) -> Profile:
    """The profile for a URL: by host, else by the default port of a server, else `generic`."""
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port = "", 0
    return PROFILES[_HOSTS.get(host) or _PORTS.get(port, "generic")]


def step_down(profile: Profile, sent: Collection[str], complaint: str) -> Profile | None:
    """The profile without the option that a 400 response names; None if it names no option that was sent.

    sent: names of the options in the request. complaint: the server's message, including `error.param`.
    """
    fields = {"json_schema": "response_format", "limit": profile.limit}
    for option, pattern in _REFUSALS:
        if fields.get(option, option) not in sent or not re.search(pattern, complaint, re.IGNORECASE):
            continue
        if option in ("tools", "json_schema"):
            return replace(profile, **{option: False})
        if option == "limit" and profile.limit == "max_tokens" and "max_completion_tokens" in complaint:
            return replace(profile, limit="max_completion_tokens")
        return replace(profile, **{option: None})
    return None
