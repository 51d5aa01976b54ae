"""How the replies of each family of models are drawn: temperature, length, and whether the model thinks first.

The profile of a server (`profiles`) says which options may be sent; a family says what to send. What a user sets comes
before both.
"""

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from sam3agent.config import Thinking

Switch = Literal["template", "effort"]

SHORT, LONG = 4096, 16384
"""Maximum number of tokens of a reply without thinking, and with it."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How replies are drawn; what is None is left to the server.

    temperature: 0 for the most likely reply. top_p, top_k: words that are not among the likeliest are left out.
    max_tokens: maximum length of a reply, with its thinking. thinks: whether replies begin with thinking.
    switch: how thinking is switched: by an argument of the chat template, or by the field `reasoning_effort`; None if
    it cannot be, or need not be.
    """

    family: str
    temperature: float | None = 0.0
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int = SHORT
    thinks: bool = False
    switch: Switch | None = None

    def at(self, look: float | None) -> float | None:
        """The temperature of a reply that must differ from an earlier one (`look`; None: of any other reply)."""
        if look is None or self.temperature is None:
            return self.temperature
        return max(look, self.temperature)

    def thinking_fields(self) -> dict[str, Any]:
        """The field of a request that switches thinking on or off; empty if there is none."""
        if self.switch == "template":
            return {"chat_template_kwargs": {"enable_thinking": self.thinks}}
        if self.switch == "effort":
            return {"reasoning_effort": "low" if self.thinks else "minimal"}
        return {}


UNKNOWN = Sampling("unknown")

_THINKING = Sampling("thinking", 0.6, 0.95, 20, LONG, thinks=True)
"""Greedy thinking tends to repeat itself without end, so makers of thinking models advise against temperature 0."""

_REASONING = Sampling("openai reasoning", None, max_tokens=LONG, thinks=True, switch="effort")
"""These models reject any temperature; the lowest useful effort is enough for short decisions."""

FAMILIES: tuple[tuple[str, Sampling], ...] = (
    (r"qwen3-?vl.*thinking", replace(_THINKING, family="qwen3-vl thinking")),
    (r"qwen3-?vl", Sampling("qwen3-vl instruct")),
    (r"qwen-?(3\.[5-9]|[4-9])", Sampling("qwen hybrid", switch="template")),
    (r"qwen-?2(\.5)?-?(vl|omni)|qvq", Sampling("qwen2-vl")),
    (r"glm-?4\.(5|6)v", Sampling("glm-v hybrid", switch="template")),
    (r"internvl", Sampling("internvl")),
    (r"gpt-?(5|6)|(^|/)o[134](-|$)", _REASONING),
    (r"gpt-?4", Sampling("gpt-4")),
    (r"claude", Sampling("claude")),
    (r"gemini-?(2\.5|[3-9])", replace(_REASONING, family="gemini")),
    (r"thinking|reasoning|glm-?4\.1v", replace(_THINKING, family="other thinking")),
)
"""Names of models in lower case, the most specific first. A model that none of them names is `UNKNOWN`."""


def sampling_for(
    model: str, *, temperature: float | None = None, max_tokens: int | None = None, thinking: Thinking = "auto"
) -> Sampling:
    """How replies of a model are drawn: by its family, and by what the user sets.

    thinking: "on" or "off" if the model can do both; a model that cannot be switched goes on as it does. The chat
    template of an unknown model is told, and may not listen.
    """
    name = model.lower().replace("_", "-")
    own = next((sampling for pattern, sampling in FAMILIES if re.search(pattern, name)), UNKNOWN)
    if thinking != "auto":
        own = _switched(own, on=thinking == "on")
    changes = {"temperature": temperature, "max_tokens": max_tokens}
    return replace(own, **{key: value for key, value in changes.items() if value is not None})


def _switched(own: Sampling, *, on: bool) -> Sampling:
    if own.switch == "effort":
        return replace(own, thinks=on)
    if own.switch is None and own != UNKNOWN:
        return own
    drawn = _THINKING if on else replace(UNKNOWN, temperature=own.temperature)
    return replace(drawn, family=own.family, switch="template")
