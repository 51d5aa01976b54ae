"""Messages in the format of Chat Completions."""

from typing import Any

from sam3agent.mllm.base import Message, MLLMRequest, Text
from sam3agent.mllm.profiles import Profile
from sam3agent.prompts import render


def to_messages(request: MLLMRequest, profile: Profile) -> list[dict[str, Any]]:
    """The messages to send. Tools or a schema that the server does not support as options are appended as text."""
    messages = [_message(message) for message in request.messages]
    text = ""
    if request.tools and not profile.tools:
        text = render("tools_as_text", tools=request.tools)
    elif request.json_schema and not profile.json_schema:
        text = render("schema_as_text", schema=request.json_schema.schema)
    if text:
        messages[-1] = {**messages[-1], "content": [*_parts(request.messages[-1]), {"type": "text", "text": text}]}
    return messages


def _message(message: Message) -> dict[str, Any]:
    """Text alone is sent as a string, which every server accepts; images need a list of parts."""
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
