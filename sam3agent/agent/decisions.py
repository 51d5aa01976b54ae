"""Typed decisions: raw replies of an MLLM, read as a tool call or as the judgement of one examination."""

from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sam3agent.mllm.base import JSONSchema, MLLMReply, ToolCall
from sam3agent.mllm.tool_text import json_objects, parse_tool_calls
from sam3agent.pool import Verdict
from sam3agent.tools.arguments import Reason
from sam3agent.tools.registry import ToolUseError, parse_model, plain_schema


class Judgement(BaseModel):
    """The reply to one examination."""

    model_config = ConfigDict(frozen=True)

    reason: Reason = Field(default="", description="What you see, in one sentence.")
    verdict: Verdict = Field(description="Whether the mask shows what the phrase names and may matter to the question.")

    @field_validator("verdict", mode="before")
    @classmethod
    def _as_word(cls, value: Any) -> Any:
        word = value.strip().lower() if isinstance(value, str) else value
        return {"accepted": "accept", "rejected": "reject", "uncertain": "unsure"}.get(word, word)


JUDGEMENT_SCHEMA = JSONSchema("judgement", plain_schema(Judgement))


def read_call(reply: MLLMReply, offered: Collection[str]) -> ToolCall:
    """The first call of an offered tool in a reply; the tool validates its arguments.

    Raises `ToolUseError` with the reason if there is none.
    """
    _refuse_unusable(reply)
    calls = reply.tool_calls or parse_tool_calls(reply.text)
    names = ", ".join(offered)
    if not calls:
        raise ToolUseError(f"the reply contains no tool call; call exactly one of {names}")
    call = next((call for call in calls if call.name in offered), None)
    if call is None:
        raise ToolUseError(f"there is no tool {calls[0].name!r} here; call exactly one of {names}")
    return call


def read_judgement(reply: MLLMReply) -> Judgement:
    """The judgement in a reply. Raises `ToolUseError` with the reason if there is none."""
    _refuse_unusable(reply)
    found = next((text for text in json_objects(reply.text) if '"verdict"' in text), reply.text)
    return parse_model(Judgement, found, "the judgement")


def _refuse_unusable(reply: MLLMReply) -> None:
    if reply.finish == "length":
        raise ToolUseError("the reply was cut off at its length limit; be brief")
    if reply.finish == "refusal":
        raise ToolUseError("the reply was a refusal; the task is only to point at objects in an image")
    if not reply.text.strip() and not reply.tool_calls:
        raise ToolUseError("the reply was empty")
