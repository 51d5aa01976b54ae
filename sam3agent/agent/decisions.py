"""Typed decisions: raw replies of an MLLM, read as a tool call or as the judgement of one examination.

Replies are read leniently, but only where one reading is left; otherwise the model is asked again.
"""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sam3agent.mllm.base import JSONSchema, MLLMReply, ToolCall
from sam3agent.mllm.tool_text import json_objects, parse_tool_calls
from sam3agent.pool import Verdict
from sam3agent.tools.arguments import MaskIds, OneMaskId, Phrases, Reason
from sam3agent.tools.reading import MAX_TEXT, ToolUseError, read_model
from sam3agent.tools.registry import plain_schema
from sam3model.untrusted import clean_line, read_json, read_literal


class Judgement(BaseModel):
    """The reply to one examination."""

    model_config = ConfigDict(frozen=True)

    reason: Reason = Field(default="", description="What you see, in one sentence.")
    verdict: Verdict = Field(description="Whether the outline encloses one whole object of the kind that is sought.")


class Completeness(BaseModel):
    """The reply to the last check of a selection."""

    model_config = ConfigDict(frozen=True)

    reason: Reason = Field(default="", description="What you see, in one sentence.")
    wrong: MaskIds = Field(default_factory=list, description="Ids of masks that do not belong to the answer.")
    missing: Annotated[Phrases, BeforeValidator(lambda value: value or [])] = Field(
        default_factory=list, description="Short noun phrases of what belongs to the answer and has no mask."
    )


class Preference(BaseModel):
    """The reply to a comparison of two masks."""

    model_config = ConfigDict(frozen=True)

    reason: Reason = Field(default="", description="What you see, in one sentence.")
    better: OneMaskId = Field(description="Number of the better one of the two masks; null if you cannot tell.")


PREFERENCE_SCHEMA = JSONSchema("preference", plain_schema(Preference))
COMPLETENESS_SCHEMA = JSONSchema("completeness", plain_schema(Completeness))
JUDGEMENT_SCHEMA = JSONSchema("judgement", plain_schema(Judgement))
_VERDICTS: dict[Verdict, str] = {
    "accept": r"accept(ed|able|s)?|yes|true|correct|pass(es|ed)?|match(es)?|valid",
    "reject": r"reject(ed|s)?|no|false|incorrect|wrong|fail(s|ed)?|no match|does not match|not accepted|invalid",
    "unsure": r"unsure|uncertain|unclear|unknown|not sure|cannot tell|can'?t tell|i cannot tell|undecided",
}
_NAMESPACE = re.compile(r"^(?:functions?|tools?|default_api|api|mcp|sam3agent)[_-]+", re.IGNORECASE)
_ENDING = ("select_masks", "report_no_match")


class NoCallError(ToolUseError):
    """A reply to offered tools in which nothing looks like a call."""


def read_call(reply: MLLMReply, offered: Collection[str]) -> ToolCall:
    """The one call of an offered tool in a reply; the tool validates its arguments.

    Of several calls the first is taken if it does not end the question, because the others can be made again. Raises
    `NoCallError` if nothing looks like a call, else `ToolUseError` with the reason.
    """
    _refuse_unusable(reply)
    words = reply.text if reply.text.strip() else reply.reasoning
    calls = tuple(call for call in reply.tool_calls if call.name.strip())
    calls = calls or parse_tool_calls(words, offered) or reply.tool_calls
    names = ", ".join(offered)
    if not calls:
        raise NoCallError(f"the reply contains no tool call{_mislaid(reply)}; call exactly one of {names}")
    named = [(name, call.arguments) for call in calls if (name := offered_name(call.name, offered))]
    if not named:
        raise ToolUseError(f"there is no tool {clean_line(calls[0].name, 80)!r} here; call exactly one of {names}")
    name, arguments = named[0]
    if name in _ENDING and len(named) > 1 and any((n, _same(a)) != (name, _same(arguments)) for n, a in named[1:]):
        raise ToolUseError(f"the reply contains {len(named)} different calls; call exactly one of {names}")
    return ToolCall(name, arguments)


def offered_name(written: str, offered: Collection[str]) -> str | None:
    """The one offered tool that a name contains as a part, beside namespaces and channel tokens; None if unclear."""
    if written in offered:
        return written
    parts = [*re.split(r"[^A-Za-z0-9_-]+|__+", written[:200]), written[:200].strip().replace(" ", "_")]
    parts = {_plain(_NAMESPACE.sub("", part)) for part in parts}
    found = [name for name in offered if _plain(name) in parts]
    return found[0] if len(found) == 1 else None


def read_judgement(reply: MLLMReply) -> Judgement:
    """The judgement in a reply. Raises `ToolUseError` with the reason if there is none, or more than one."""
    if word := verdict_word(_words(reply).rpartition("</think>")[2]):
        return Judgement(verdict=word)
    found = _objects(reply)
    judged = [(verdict, item) for item in found if (verdict := _verdict_in(item))]
    if len({verdict for verdict, _ in judged}) > 1:
        raise ToolUseError("the reply contains several verdicts; give exactly one")
    if judged:
        verdict, item = judged[-1]
        reason = next((value for key, value in item.items() if str(key).lower() == "reason"), "")
        return read_model(Judgement, {"reason": reason, "verdict": verdict}, "the judgement")[0]
    if found:
        raise ToolUseError('the judgement: the verdict must be "accept", "reject" or "unsure"')
    raise ToolUseError(f"the judgement: the reply contains no JSON object with a verdict{_mislaid(reply)}")


def read_completeness(reply: MLLMReply) -> Completeness:
    """The result of a check in a reply. Raises `ToolUseError` with the reason if there is none."""
    found = [item for item in _objects(reply) if {"wrong", "missing"} & set(item)]
    if not found:
        raise ToolUseError('the check: the reply contains no JSON object with "wrong" and "missing"')
    return read_model(Completeness, found[-1], "the check")[0]


def read_preference(reply: MLLMReply, ids: tuple[int, int]) -> Preference:
    """The result of a comparison of two masks in a reply. Raises `ToolUseError` with the reason if there is none."""
    found = [item for item in _objects(reply) if "better" in item]
    if not found:
        raise ToolUseError('the comparison: the reply contains no JSON object with "better"')
    read = read_model(Preference, found[-1], "the comparison")[0]
    if read.better not in (*ids, None):
        raise ToolUseError(f"the comparison: mask {read.better} is not shown; better is {ids[0]}, {ids[1]} or null")
    return read


def _objects(reply: MLLMReply) -> list[Mapping[str, Any]]:
    """The JSON objects in a usable reply to an examination."""
    return [read_json(text) for text in json_objects(_words(reply))]


def _words(reply: MLLMReply) -> str:
    """What a usable reply says: its text, else its reasoning, else the arguments of a call that nobody asked for."""
    _refuse_unusable(reply)
    words = reply.text if reply.text.strip() else reply.reasoning
    return words or next((call.arguments for call in reply.tool_calls), "")


def verdict_word(value: Any) -> Verdict | None:
    """The verdict that a word or a truth value stands for; None if it is not exactly one."""
    if isinstance(value, bool):
        return "accept" if value else "reject"
    if not isinstance(value, str) or len(value) > 60:
        return None
    word = re.sub(r"^\W+|\W+$", "", value.lower().replace("’", "'"))
    word = re.sub(r"^(the )?(verdict|answer|decision|judge?ment)( is)?\W+", "", word)
    for verdict, pattern in _VERDICTS.items():
        if re.fullmatch(pattern, word):
            return verdict
    return None


def _verdict_in(item: Mapping[str, Any]) -> Verdict | None:
    """The verdict in an object: under its name in any case, else the only value that can be one."""
    for key, value in item.items():
        if str(key).lower().strip() == "verdict":
            return verdict_word(value)
    if any(verdict_word(str(key)) for key in item):
        return None
    found: list[Verdict] = []
    for key, value in item.items():
        if str(key).lower() != "reason" and (word := verdict_word(value)):
            found.append(word)
    return found[0] if len(found) == 1 else None


def _same(arguments: str) -> Any:
    """Arguments for comparison: their value if they can be read, else their text."""
    try:
        value = read_literal(arguments) if len(arguments) <= MAX_TEXT else arguments
    except ValueError:
        return arguments
    return {key: value[key] for key in value if key != "reason"} if isinstance(value, dict) else value


def _plain(name: str) -> str:
    """A name without what models change in it: case, separators and the plural."""
    return re.sub(r"[_-]", "", name).lower().removesuffix("s")


def _mislaid(reply: MLLMReply) -> str:
    """A remark on a reply whose words are all in the field for reasoning."""
    if reply.text.strip() or not reply.reasoning.strip():
        return ""
    return " and all its words are in the reasoning field (see --reasoning-parser of the server)"


def _refuse_unusable(reply: MLLMReply) -> None:
    if reply.finish == "length":
        raise ToolUseError("the reply was cut off at its length limit; be brief")
    if reply.finish == "refusal":
        raise ToolUseError("the reply was a refusal; the task is only to point at objects in an image")
    if not reply.text.strip() and not reply.tool_calls and not reply.reasoning.strip():
        raise NoCallError("the reply was empty")
