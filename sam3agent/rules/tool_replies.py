"""Replies of the rules that call a tool, for images and for clips."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sam3agent.knowledge import unread_warning, unread_words
from sam3agent.mllm.base import MLLMReply, ToolCall
from sam3agent.rules.question_plan import NounPhrase
from sam3agent.states import Story
from sam3agent.workbench import Workbench

MAX_PHRASES = 8
"""How many phrases are searched at once."""


def unused(phrases: Iterable[NounPhrase], story: Story) -> list[str]:
    """The phrases that were not searched yet, without duplicates, in order."""
    found = dict.fromkeys(what.phrase for what in phrases)
    return [phrase for phrase in found if phrase not in story.used_phrases]


def search(tool: str, phrases: Sequence[str], bench: Workbench) -> MLLMReply:
    """A search with `segment_phrase` or `track`, unless a phrase is too long for the weights."""
    searched = list(phrases[:MAX_PHRASES])
    for phrase in searched:
        if unread := unread_words(bench.session, phrase):
            return MLLMReply(not_understood=f"{unread_warning(phrase, unread)}; ask in fewer words", calls=0)
    return call_tool(tool, phrases=searched)


def call_tool(name: str, warnings: Iterable[str] = (), **arguments: Any) -> MLLMReply:
    """A call of a tool, with what to warn about; repeated warnings are given once."""
    call = ToolCall(name, json.dumps(arguments))
    return MLLMReply(tool_calls=(call,), calls=0, warnings=tuple(dict.fromkeys(warnings)))
