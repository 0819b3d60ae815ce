"""Conversations of training data in any shape that is in use, as messages.

``messages`` (OpenAI's, with content parts, reasoning, tool calls and weights) | ``conversations`` (ShareGPT's) |
``prompt``, ``completion`` (texts, or lists of messages as TRL has them) | ``instruction``, ``input``, ``output`` |
``question``, ``answer`` | ``text``.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lendsafe.corpus.reading import Problem, Record, kind_of, parse_json
from lendsafe.mlx_lora.tokens import Turn
from lendsafe.records import Message

LISTS = ("messages", "conversations")
SHAPES: tuple[tuple[str, ...], ...] = (
    *((name,) for name in LISTS),
    ("prompt", "completion"),
    ("instruction", "output"),
    ("question", "answer"),
    ("text",),
)
ROLES = ("system", "user", "assistant", "tool")
# ShareGPT's and others' names of the roles
_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "developer": "system",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
}
# What a message may hold beside role and content; chat templates read it.
_MORE = ("reasoning_content", "reasoning", "thinking", "tool_calls", "tool_call_id", "name")


def messages(record: Record, values: dict[str, Any]) -> tuple[tuple[Message, ...] | None, list[Problem]]:
    """The conversation of a row, or None and what is wrong with it.

    Args:
        record: The row, for places in messages.
        values: Its values by key.
    """
    shape = next((one for one in SHAPES if any(key in values for key in one)), None)
    if shape is None:
        wanted = "'messages', or 'prompt' and 'completion', or 'instruction' and 'output', or 'question' and 'answer'"
        return None, [record.problem("", f"has no conversation; expected {wanted}.")]
    if shape == ("text",):
        return _plain_text(record, values["text"])
    if len(shape) == 1:
        return _conversation(record, values, values[shape[0]], (shape[0], shape[0]))
    prompt, reply = shape
    problems = [record.problem(name, "is missing.") for name in shape if name not in values]
    if prompt == "prompt" and all(
        isinstance(values.get(name), list) for name in shape
    ):  # TRL's conversational form
        return _conversation(record, values, [*values[prompt], *values[reply]], (prompt, reply))
    problems += [
        record.problem(name, f"is {kind_of(values[name])}; expected text.")
        for name in (prompt, reply, "input")
        if not isinstance(values.get(name, ""), str)
    ]
    if problems:
        return None, problems
    asked = values[prompt]
    if prompt == "instruction" and values.get("input", "").strip():
        asked = f"{asked}\n\n{values['input']}"
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": values[reply]}]
    return _conversation(record, values, turns, (prompt, reply))


def _plain_text(record: Record, text: Any) -> tuple[tuple[Message, ...] | None, list[Problem]]:
    """A text to learn as it is, without a chat template."""
    if not isinstance(text, str) or not text.strip():
        return None, [
            record.problem("text", f"is {'empty' if text == '' else kind_of(text)}; expected text.")
        ]
    return (Turn("assistant", text, plain=True),), []


def _conversation(
    record: Record, values: Mapping[str, Any], turns: Any, fields: tuple[str, str]
) -> tuple[tuple[Message, ...] | None, list[Problem]]:
    """Messages from a list of turns; ``fields`` are the names of the prompt and the reply."""
    if not isinstance(turns, list) or not turns:
        wanted = kind_of(turns) if turns else "empty"
        return None, [record.problem(fields[0], f"is {wanted}; expected a list of messages.")]
    system, tools, problems = _beside(record, values)
    if system and not (isinstance(turns[0], dict) and _role(turns[0]) == "system"):
        turns = [{"role": "system", "content": system}, *turns]
    read = [_turn(number, turn) for number, turn in enumerate(turns, start=1)]
    problems += [record.problem(fields[0], wrong) for _, wrong in read if wrong]
    messages = tuple(message for message, _ in read if message is not None)
    if problems:
        return None, problems
    if tools:
        messages = (_with_tools(messages[0], tools), *messages[1:])
    roles = [message.role for message in messages]
    if roles[-1] != "assistant" or not (messages[-1].content.strip() or getattr(messages[-1], "more", "")):
        return None, [record.problem(fields[1], "has no reply; there is nothing to learn.")]
    if "user" not in roles or "system" in roles[1:]:
        return None, [
            record.problem(fields[0], "needs a user message, and a system message only at the start.")
        ]
    if not any(message.content.strip() for message in messages if message.role == "user"):
        return None, [record.problem(fields[0], "is empty; there is nothing to reply to.")]
    if all(getattr(message, "weight", None) == 0 for message in messages if message.role == "assistant"):
        return None, [
            record.problem(fields[1], "has the weight 0 in every reply; there is nothing to learn.")
        ]
    return messages, []


def _beside(record: Record, values: Mapping[str, Any]) -> tuple[str, str, list[Problem]]:
    """System message and tools (as JSON) that stand beside a conversation."""
    system, tools = values.get("system", ""), values.get("tools")
    problems = []
    if not isinstance(system, str):
        problems.append(record.problem("system", f"is {kind_of(system)}; expected text."))
    if isinstance(tools, str):
        tools, wrong = parse_json(tools) if tools.strip() else (None, [])
        problems += [record.problem("tools", message) for message in wrong]
    if tools is not None and not (isinstance(tools, list) and all(isinstance(one, dict) for one in tools)):
        problems.append(record.problem("tools", f"is {kind_of(tools)}; expected a list of objects."))
    return system, json.dumps(tools, ensure_ascii=False) if tools else "", problems


def _with_tools(message: Message, tools: str) -> Message:
    if isinstance(message, Turn):
        return replace(message, tools=tools)
    return Turn(message.role, message.content, tools=tools)


def _role(turn: Mapping[str, Any]) -> Any:
    role = turn.get("role", turn.get("from"))
    return _ROLES.get(role, role) if isinstance(role, str) else role


def _turn(number: int, turn: Any) -> tuple[Message | None, str]:
    """One message, or what is wrong with it."""
    if not isinstance(turn, dict) or not {"role", "from"} & set(turn):
        return None, f"needs 'role' and 'content' in message {number}."
    role, content, more = _role(turn), turn.get("content", turn.get("value")), _more_of(turn)
    unknown = sorted(set(turn) - {"role", "content", "from", "value", "weight", *_MORE})
    if unknown:
        return (
            None,
            f"has {unknown[0]!r:.40} in message {number}; expected 'role', 'content' or {', '.join(_MORE)}.",
        )
    if role == "function_call" and isinstance(content, str):  # ShareGPT's form of a tool call
        call, wrong = parse_json(content)
        if wrong or not isinstance(call, dict):
            return None, f"has a function call in message {number} that is no JSON object."
        role, content, more = "assistant", "", more | {"tool_calls": [{"type": "function", "function": call}]}
    if role not in ROLES:
        return None, f"has role {role!r:.40} in message {number}; expected one of {', '.join(ROLES)}."
    text = "" if content is None and more.get("tool_calls") else _text_of(content)
    if text is None:
        return None, f"has as content {kind_of(content)} in message {number}; expected text."
    weight = turn.get("weight")
    if weight not in (None, 0, 1):
        return None, f"has weight {weight!r:.20} in message {number}; expected 0 or 1."
    if not more and weight is None:
        return Message(role, text), ""
    encoded = json.dumps(more, ensure_ascii=False) if more else ""
    return Turn(role, text, more=encoded, weight=None if weight is None else int(weight)), ""


def _more_of(turn: Mapping[str, Any]) -> dict[str, Any]:
    """What a message holds beside role and content; a call's arguments as an object, as templates read them."""
    more = {key: turn[key] for key in _MORE if turn.get(key)}
    if isinstance(calls := more.get("tool_calls"), list):
        more["tool_calls"] = [_call(one) for one in calls]
    return more


def _call(call: Any) -> Any:
    inner = call.get("function") if isinstance(call, dict) else None
    if isinstance(inner, dict) and isinstance(inner.get("arguments"), str):
        arguments, wrong = parse_json(inner["arguments"])
        if not wrong and isinstance(arguments, dict):
            return call | {"function": inner | {"arguments": arguments}}
    return call


def _text_of(content: Any) -> str | None:
    """A text, or the texts of content parts one after the other; None for anything else."""
    if isinstance(content, list) and content:
        parts = [
            part["text"]
            for part in content
            if isinstance(part, dict)
            and part.get("type", "text") == "text"
            and isinstance(part.get("text"), str)
        ]
        return "".join(parts) if len(parts) == len(content) else None
    return content if isinstance(content, str) else None
