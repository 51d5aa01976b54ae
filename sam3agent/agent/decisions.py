"""Typed decisions: what an MLLM may say, as pydantic models, and the reading of raw replies into them.

Four of them are the arguments of tools (`sam3agent.tools.masks`), `Judgement` is the reply to one examination.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator

from sam3agent.agent.pool import Verdict
from sam3agent.mllm.base import JSONSchema, MLLMReply, ToolCall
from sam3agent.tools.registry import Arguments, ToolUseError, parse_model, plain_schema


def _one_line(value: Any) -> Any:
    """Words of a model go into prompts, files and terminals: no line breaks, control characters or surrogates."""
    if not isinstance(value, str):
        return value
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", " ", value).split())


Phrase = Annotated[str, StringConstraints(min_length=1, max_length=120), BeforeValidator(_one_line)]
Reason = Annotated[str, StringConstraints(max_length=2000), BeforeValidator(_one_line)]
MaskId = Annotated[int, Field(ge=1)]


class SegmentPhrase(Arguments):
    """Arguments of segment_phrase."""

    phrases: Annotated[list[Phrase], Field(min_length=1, max_length=8)] = Field(
        description='Short noun phrases, searched one by one, e.g. ["player in white", "referee"].'
    )

    @field_validator("phrases", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("phrases")
    @classmethod
    def _each_once(cls, value: list[str]) -> list[str]:
        return list(dict.fromkeys(value))


class ExamineMasks(Arguments):
    """Arguments of examine_masks."""

    ids: Annotated[list[MaskId], Field(min_length=1, max_length=64)] = Field(description="Ids of masks to look at.")


class MeasureMasks(Arguments):
    """Arguments of measure_masks."""

    ids: Annotated[list[MaskId], Field(max_length=64)] = Field(
        default_factory=list, description="Ids of masks to measure; empty: all."
    )


class SelectMasks(Arguments):
    """Arguments of select_masks."""

    ids: Annotated[list[MaskId], Field(min_length=1)] = Field(description="Ids of the masks that answer the question.")
    reason: Reason = Field(default="", description="Why these, in one sentence.")

    @field_validator("ids")
    @classmethod
    def _each_once(cls, value: list[int]) -> list[int]:
        return list(dict.fromkeys(value))


class ReportNoMatch(Arguments):
    """Arguments of report_no_match."""

    reason: Reason = Field(default="", description="What was looked for and is not there, in one sentence.")


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


MOST_TEXT, MOST_TRIES = 20_000, 100
"""How many characters of a reply, and opening braces in them, are searched for JSON."""

JUDGEMENT_SCHEMA = JSONSchema("judgement", plain_schema(Judgement))


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that names an offered tool; its arguments are validated by the tool."""

    name: str
    arguments: str


def read_call(reply: MLLMReply, offered: Collection[str]) -> Call:
    """The one tool call of a reply, from its tool calls or its text; raises `ToolUseError` saying what is wrong."""
    _refuse_unusable(reply)
    calls = reply.tool_calls or tuple(_calls_in_text(reply.text))
    names = ", ".join(offered)
    if not calls:
        raise ToolUseError(f"the reply holds no tool call; call exactly one of {names}")
    call = next((call for call in calls if call.name in offered), None)
    if call is None:
        raise ToolUseError(f"there is no tool {calls[0].name!r} here; call exactly one of {names}")
    return Call(call.name, call.arguments)


def read_judgement(reply: MLLMReply) -> Judgement:
    """The judgement in a reply; raises `ToolUseError` saying what is wrong."""
    _refuse_unusable(reply)
    found = next((text for text in _objects_in(reply.text) if '"verdict"' in text), reply.text)
    return parse_model(Judgement, found, "the judgement")


def _refuse_unusable(reply: MLLMReply) -> None:
    if reply.finish == "length":
        raise ToolUseError("the reply was cut off at its length limit; be brief")
    if reply.finish == "refusal":
        raise ToolUseError("the reply was a refusal; this is only about pointing at things in a picture")
    if not reply.text.strip() and not reply.tool_calls:
        raise ToolUseError("the reply was empty")


def _calls_in_text(text: str) -> list[ToolCall]:
    """Tool calls written into the text: `<tool_call>{…}</tool_call>`, a fenced block, or a bare JSON object."""
    calls = []
    for found in _objects_in(text):
        data = json.loads(found)
        data = data.get("function", data) if isinstance(data.get("function", data), dict) else data
        name = data.get("name") or data.get("tool")
        arguments = data.get("arguments", data.get("parameters", {}))
        if isinstance(name, str):
            calls.append(ToolCall(name, arguments if isinstance(arguments, str) else json.dumps(arguments)))
    return calls


def _objects_in(text: str) -> list[str]:
    """The outermost JSON objects in a text, in order; thinking before `</think>` is passed over.

    Only so much text and so many braces are tried, since a failed try may read all that follows.
    """
    text = text.rpartition("</think>")[2][:MOST_TEXT]
    decoder, found, at = json.JSONDecoder(), list[str](), text.find("{")
    for _ in range(MOST_TRIES):
        if at < 0:
            break
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if isinstance(value, dict):
                found.append(text[at:end])
        at = text.find("{", end)
    return found
