"""Messages in the format of Chat Completions, in the form that a server takes."""

import json
from dataclasses import replace
from typing import Any

from sam3agent.images import EvidenceKey, LazyImage
from sam3agent.mllm.base import Message, MLLMRequest, Part, Text, ToolCall
from sam3agent.mllm.profiles import Profile
from sam3agent.prompts import render
from sam3agent.render.strip import panels


def sends_tools(request: MLLMRequest, profile: Profile) -> bool:
    """Whether the field `tools` is sent: with a JSON reply only to a server that can be told not to call any."""
    return bool(request.tools) and profile.tools and (request.json_schema is None or profile.tool_choice is not None)


def to_messages(request: MLLMRequest, profile: Profile) -> list[dict[str, Any]]:
    """The messages to send. What the server does not support as an option is written in another way.

    Tools are described at the end of the system message, the same for every request; how to call one, or the schema of
    the reply, ends the last message. Earlier calls are written as the model would write them. Several images are pasted
    into one, in the last message, and a line of text takes the place of each. The system message begins the first
    message of the user.
    """
    sent = request.messages
    if not (profile.tool_messages and sends_tools(request, profile)):
        sent = _calls_in_words(sent)
    if request.tools and not profile.tools:
        sent = _with_tools(sent, request)
    if not profile.many_images:
        sent = _one_image(sent)
    if not profile.system:
        sent = _without_system(sent)
    messages, calls = list[dict[str, Any]](), 0
    for message in sent:
        calls += message.call is not None
        messages.append(_message(message, _call_id(calls)))
    text = ""
    if request.tools and not profile.tools and not request.json_schema:
        text = render("call_as_text")
    elif request.json_schema and not profile.json_schema:
        text = render("schema_as_text", schema=request.json_schema.schema)
    if text:
        messages[-1] = {**messages[-1], "content": [*_parts(sent[-1]), {"type": "text", "text": text}]}
    return messages


def _calls_in_words(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages with calls as text, and their results at the start of the next message of the user."""
    changed, results = list[Message](), tuple[Part, ...]()
    for message in messages:
        if message.role == "tool":
            results += message.parts
            continue
        if results and message.role != "user":
            changed.append(Message("user", results))
            results = ()
        said = (Text(_as_text(message.call)),) if message.call else message.parts
        changed.append(Message(message.role, (*results, *said)))
        results = ()
    return (*changed, *([Message("user", results)] if results else []))


def _as_text(call: ToolCall) -> str:
    """A call in the notation that the prompt asks for."""
    return f'<tool_call>{{"name": {json.dumps(call.name)}, "arguments": {call.arguments or "{}"}}}</tool_call>'


def _with_tools(messages: tuple[Message, ...], request: MLLMRequest) -> tuple[Message, ...]:
    """The messages with the tools described at the end of the system message."""
    described = Text(render("tools_as_text", tools=request.tools))
    if not messages or messages[0].role != "system":
        return (Message("system", (described,)), *messages)
    return (replace(messages[0], parts=(*messages[0].parts, described)), *messages[1:])


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


def _call_id(number: int) -> str:
    """The id of a call: nine letters and digits, as Mistral's templates require, and the same in every request."""
    return f"call{number:05d}"


def _message(message: Message, call_id: str) -> dict[str, Any]:
    """Text alone is sent as a string, which every server accepts; images need a list of parts.

    call_id: of the call that the message makes or answers.
    """
    if message.call:
        function = {"name": message.call.name, "arguments": message.call.arguments}
        call = {"id": call_id, "type": "function", "function": function}
        return {"role": message.role, "content": None, "tool_calls": [call]}
    answered = {"tool_call_id": call_id} if message.role == "tool" else {}
    if all(isinstance(part, Text) for part in message.parts):
        text = "\n".join(part.text for part in message.parts if isinstance(part, Text))
        return {"role": message.role, "content": text, **answered}
    return {"role": message.role, "content": _parts(message), **answered}


def _parts(message: Message) -> list[dict[str, Any]]:
    return [
        {"type": "text", "text": part.text}
        if isinstance(part, Text)
        else {"type": "image_url", "image_url": {"url": part.data_url}}
        for part in message.parts
    ]
