"""What each kind of OpenAI-compatible server can do, in one table, and how to step down when one says it cannot.

A profile is a set of options that a request may use. A server that answers 400 to an option loses that option for as
long as the backend lives, and the request is sent again without it.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Profile:
    """What a server understands; an option that is None is not sent.

    tools: the `tools` field; without it the tools are described in words and read from the reply's text.
    tool_choice: a string, and only a hint. json_schema: `response_format` with a schema; without it, in words too.
    parallel_tool_calls: False asks for one call at a time. limit: the field that bounds the length of a reply.
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

# What servers say (in `error.param` or in words) when they refuse an option; the most specific first.
_REFUSALS = (
    ("tool_choice", r"tool_choice"),
    ("parallel_tool_calls", r"parallel_tool_calls"),
    ("tools", r"\btools?\b|tool-call|function.?call"),
    ("json_schema", r"response_format|json_schema|structured.?output|guided|grammar"),
    ("temperature", r"temperature"),
    ("limit", r"max_tokens|max_completion_tokens"),
)


def profile_for(base_url: str) -> Profile:
    """The profile that an address suggests: by its host, else by its customary port, else `generic`."""
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port = "", 0
    return PROFILES[_HOSTS.get(host) or _PORTS.get(port, "generic")]


def step_down(profile: Profile, sent: Collection[str], complaint: str) -> Profile | None:
    """The profile without the option that a 400 complains of, or None where it names nothing that was sent.

    sent: the `Profile` fields that the request used. complaint: the server's words, `error.param` included.
    """
    for option, pattern in _REFUSALS:
        if option not in sent or not re.search(pattern, complaint, re.IGNORECASE):
            continue
        if option in ("tools", "json_schema"):
            return replace(profile, **{option: False})
        if option == "limit" and profile.limit == "max_tokens" and "max_completion_tokens" in complaint:
            return replace(profile, limit="max_completion_tokens")
        return replace(profile, **{option: None})
    return None
