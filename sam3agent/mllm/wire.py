"""Messages in the format of Chat Completions, in the form that a server takes."""

from dataclasses import replace
from typing import Any

from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.mllm.base import Message, MLLMRequest, Part, Text
from sam3agent.mllm.profiles import Profile
from sam3agent.prompts import render
from sam3agent.render.strip import panels


def to_messages(request: MLLMRequest, profile: Profile) -> list[dict[str, Any]]:
    """The messages to send. What the server does not support as an option is written in another way.

    Tools or a schema are appended as text. Several images are pasted into one, in the last message, and a line of text
    takes the place of each. The system message begins the first message of the user.
    """
    sent = request.messages
    if not profile.many_images:
        sent = _one_image(sent)
    if not profile.system:
        sent = _without_system(sent)
    messages = [_message(message) for message in sent]
    text = ""
    if request.tools and not profile.tools and not request.json_schema:
        text = render("tools_as_text", tools=request.tools)
    elif request.json_schema and not profile.json_schema:
        text = render("schema_as_text", schema=request.json_schema.schema)
    if text:
        messages[-1] = {**messages[-1], "content": [*_parts(sent[-1]), {"type": "text", "text": text}]}
    return messages


def _one_image(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages with all images pasted into one at the start of the last message."""
    images = [part for message in messages for part in message.parts if isinstance(part, LazyImage)]
    if len(images) < 2:
        return messages
    number, changed = 0, list[Message]()
    for message in messages:
        parts = list[Part]()
        for part in message.parts:
            if isinstance(part, LazyImage):
                number += 1
                parts.append(Text(render("pasted_image", number=number)))
            else:
                parts.append(part)
        changed.append(replace(message, parts=tuple(parts)))
    key = EvidenceKey(0, (), "pasted")
    pasted = LazyImage(key, lambda: panels([image.opened() for image in images]))
    changed[-1] = replace(changed[-1], parts=(pasted, *changed[-1].parts))
    return tuple(changed)


def _without_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    if len(messages) < 2 or messages[0].role != "system":
        return messages
    return (replace(messages[1], parts=(*messages[0].parts, *messages[1].parts)), *messages[2:])


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
