"""Messages in the terms of Chat Completions."""

from typing import Any

from sam3agent.mllm.base import Message, MLLMRequest, Text
from sam3agent.mllm.profiles import Profile
from sam3agent.prompts import render


def to_messages(request: MLLMRequest, profile: Profile) -> list[dict[str, Any]]:
    """The conversation in the server's terms. What it cannot be told by an option is told in words, at the very end."""
    messages = [_message(message) for message in request.messages]
    words = ""
    if request.tools and not profile.tools:
        words = render("tools_in_words", tools=request.tools)
    elif request.json_schema and not profile.json_schema:
        words = render("schema_in_words", schema=request.json_schema.schema)
    if words:
        messages[-1] = {**messages[-1], "content": [*_parts(request.messages[-1]), {"type": "text", "text": words}]}
    return messages


def _message(message: Message) -> dict[str, Any]:
    """Words alone go as a string, which every server takes; pictures need a list of parts."""
    if all(isinstance(part, Text) for part in message.parts):
        return {"role": message.role, "content": "\n".join(p.text for p in message.parts if isinstance(p, Text))}
    return {"role": message.role, "content": _parts(message)}


def _parts(message: Message) -> list[dict[str, Any]]:
    return [
        {"type": "text", "text": part.text}
        if isinstance(part, Text)
        else {"type": "image_url", "image_url": {"url": part.data_url}}
        for part in message.parts
    ]
