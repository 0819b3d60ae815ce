"""Messages to token ids, with the reply marked; text can never become a control token.

A tokenizer turns ``<|start_of_role|>`` inside an applicant's text into the real control token, and so a
message of its author's choosing. Here only the chat template's own text may; contents are encoded without.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lendsafe.errors import DataError
from lendsafe.records import Message

# Private-use characters that stand for the contents while the template is rendered.
_OPEN, _CLOSE = "\ue000", "\ue001"


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """One example, ready to train on.

    Attributes:
        ids: Token ids of prompt, reply and end mark, ``(T,)`` int32.
        reply_start: Index of the reply's first token; that token and all after it are learned.
        cut: Whether the reply was too long and lost its end (but not its end mark).
    """

    ids: np.ndarray
    reply_start: int
    cut: bool = False

    def __len__(self) -> int:
        return len(self.ids)


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Ids of a prompt up to where the assistant's reply begins."""
    return _encode(tokenizer, messages, add_generation_prompt=True)


def encode(tokenizer: Any, messages: Sequence[Message], max_length: int | None = None) -> Tokens:
    """Ids of a conversation whose last message is the reply to learn.

    Args:
        tokenizer: Tokenizer with a chat template.
        messages: The last one is the assistant's.
        max_length: Longest result; a longer reply is cut and keeps its end mark.

    Raises:
        DataError: If there is no reply, if the template's prompt is not a prefix of the conversation, or
            if the prompt leaves no room for a reply.
    """
    if not messages or messages[-1].role != "assistant" or not messages[-1].content.strip():
        raise DataError("the last message is not a reply of the assistant")
    prompt = _encode(tokenizer, messages[:-1], add_generation_prompt=True)
    whole = _encode(tokenizer, messages, add_generation_prompt=False)
    if whole[: len(prompt)] != prompt:
        raise DataError("the chat template's prompt is not a prefix of the whole conversation")
    ids = whole[: _after_end_mark(tokenizer, whole, len(prompt))]
    cut = max_length is not None and len(ids) > max_length
    if max_length is not None and cut:
        if len(prompt) + 2 > max_length:
            raise DataError(
                f"the prompt alone has {len(prompt)} tokens; raise --max-length above {len(prompt) + 1}"
            )
        ids = [*ids[: max_length - 1], ids[-1]]
    return Tokens(np.array(ids, np.int32), len(prompt), cut)


def _after_end_mark(tokenizer: Any, ids: list[int], reply_start: int) -> int:
    """Where the reply's end mark ends; what the template puts after it is not learned."""
    for position in range(len(ids) - 1, reply_start - 1, -1):
        if ids[position] == tokenizer.eos_token_id:
            return position + 1
    raise DataError("the chat template does not end a reply with the end mark")


def _encode(tokenizer: Any, messages: Sequence[Message], *, add_generation_prompt: bool) -> list[int]:
    rendered = tokenizer.apply_chat_template(
        [{"role": m.role, "content": f"{_OPEN}{i}{_CLOSE}"} for i, m in enumerate(messages)],
        tokenize=False,
        add_generation_prompt=add_generation_prompt,
    )
    plain = _plain_encoder(tokenizer)
    ids: list[int] = []
    for i, piece in enumerate(rendered.split(_OPEN)):
        if i == 0:
            ids += tokenizer.encode(piece, add_special_tokens=False)
            continue
        number, template = piece.split(_CLOSE, 1)
        ids += plain(messages[int(number)].content)
        ids += tokenizer.encode(template, add_special_tokens=False)
    return ids


def _plain_encoder(tokenizer: Any) -> Any:
    """A function that encodes text as text, never as control tokens."""
    inner = getattr(tokenizer, "_tokenizer", tokenizer)

    def encode_plain(text: str) -> list[int]:
        ids: list[int] = inner(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids

    return encode_plain
