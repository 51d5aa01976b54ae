"""The ways in which a reply of an MLLM is unusable."""

import json

from sam3agent.mllm.base import MLLMReply, ToolCall

BAD_CALLS = ("empty", "prose", "bad_json", "truncated", "unknown_tool", "wrong_arguments", "bad_ids")
BAD_LOOKS = ("empty", "truncated", "odd_word", "prose")


def bad_call(way: str, good: ToolCall) -> MLLMReply:
    """An unusable reply in place of a tool call."""
    return {
        "empty": MLLMReply(),
        "prose": MLLMReply("I can see several things in the image, and the one asked for is on the left."),
        "bad_json": MLLMReply(tool_calls=(ToolCall(good.name, good.arguments[:-1]),)),
        "truncated": MLLMReply("The image shows", finish="length"),
        "unknown_tool": MLLMReply(tool_calls=(ToolCall("zoom_in", '{"mask": 1}'),)),
        "wrong_arguments": MLLMReply(tool_calls=(ToolCall("segment_phrase", '{"text_prompt": "thing"}'),)),
        "bad_ids": MLLMReply(tool_calls=(ToolCall("select_masks", '{"ids": [77, 78]}'),)),
    }[way]


def bad_look(way: str) -> MLLMReply:
    """An unusable reply in place of a judgement."""
    return {
        "empty": MLLMReply(),
        "truncated": MLLMReply('{"reason": "The mask covers a thing that at fi', finish="length"),
        "odd_word": MLLMReply(json.dumps({"reason": "hard to tell", "verdict": "perhaps"})),
        "prose": MLLMReply("I have looked at it closely. The mask is fine."),
    }[way]
