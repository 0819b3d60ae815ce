"""Messages to token ids, with the reply marked; text can never become a control token.

A conversation is rendered once, with its real content, by the tokenizer's own chat template, and tokenised whole, as
every server does: the ids are the template's. Where the reply is, is found in characters.

A tokenizer turns ``<|start_of_role|>`` inside an applicant's text into the real control token, and so a message of its
author's choosing. So texts of control tokens in contents are taken out before the template sees them, a stand-in
character each, and put back as plain text when the ids are made. Only the template's own text may be control.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from lendsafe.errors import DataError, RefusedError
from lendsafe.mlx_lora.rendering import (
    OTHER_REPLY,
    Row,
    Vocabulary,
    inner_of,
    locate,
    render,
    render_all,
    vocabulary,
)
from lendsafe.mlx_lora.rendering import Turn as Turn
from lendsafe.records import Message

_CHUNK = 512  # conversations rendered and tokenised at a time
_STRFTIME = re.compile(r"""strftime_now\(\s*(?:format\s*=\s*)?(["'])(.*?)\1\s*\)""")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """One example, ready to train on.

    Attributes:
        ids: Token ids of prompt, reply and end mark, ``(T,)`` int32.
        reply_start: Index of the reply's first token; that token and all after it are learned.
        cut: Whether the reply was too long and lost its end (but not its end mark).
        merged: Whether the system message became a part of the user's, because the template takes none.
        defused: Control tokens' texts in its messages, which are plain text here.
    """

    ids: np.ndarray
    reply_start: int
    cut: bool = False
    merged: bool = False
    defused: int = 0

    def __len__(self) -> int:
        return len(self.ids)


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Ids of a prompt up to where the assistant's reply begins.

    Raises:
        DataError: If the template refuses the conversation, or there is no template.
    """
    row = Row(tokenizer, messages, reply=False)
    row.render()
    if row.problem:
        raise DataError(row.problem)
    return _ids(tokenizer, [row])[0]


def encode(
    tokenizer: Any, messages: Sequence[Message], max_length: int | None = None, *, control: bool = False
) -> Tokens:
    """Ids of a conversation whose last message is the reply to learn.

    Args:
        tokenizer: Tokenizer with a chat template.
        messages: The last one is the assistant's.
        max_length: Longest result; a longer reply is cut and keeps its end mark.
        control: Whether the texts of control tokens in the assistant's messages mean these tokens.

    Raises:
        DataError: If there is no reply, if the template refuses the conversation or does not show where the reply
            is and ends, or if the prompt leaves no room for a reply.
    """
    found = next(encode_all(tokenizer, [messages], max_length, control=control))
    if isinstance(found, DataError):
        raise found
    return found


def encode_all(
    tokenizer: Any,
    conversations: Iterable[Sequence[Message]],
    max_length: int | None = None,
    *,
    control: bool = False,
) -> Iterator[Tokens | DataError]:
    """:func:`encode` for many conversations; what cannot be used comes as the error that says why."""
    rows = iter(conversations)
    while chunk := list(islice(rows, _CHUNK)):
        yield from _encode_chunk(tokenizer, chunk, max_length, control=control)


def check_ids(tokenizer: Any, ids: Iterable[int], rows: int) -> None:
    """Refuse ids that a model has no embedding for; MLX would read or write beyond its memory.

    Args:
        tokenizer: Names the token.
        ids: Token ids.
        rows: Rows of the embedding.

    Raises:
        RefusedError: Naming token, id and rows.
    """
    largest = max(ids, default=-1)
    if largest >= rows:
        named = getattr(tokenizer, "convert_ids_to_tokens", str)(largest)
        raise RefusedError(
            f"token {named!r} has the id {largest}, but the model's embedding has {rows} rows (ids 0 to {rows - 1});"
            " tokens were added to the tokenizer and the model was not resized"
        )


def replies(messages: Sequence[Message], *, every: bool) -> list[Sequence[Message]]:
    """The conversations to learn from one: up to its last reply or each; weights say which, where there are any."""
    weights = [getattr(one, "weight", None) for one in messages]
    every = every or any(weight is not None for weight in weights)
    return [
        messages[:number]
        for number, (one, weight) in enumerate(zip(messages, weights, strict=True), start=1)
        if number == len(messages) or (every and one.role == "assistant")
        if weight != 0
    ]


def dated(template: Any, day: str) -> Any:
    """A chat template, or named ones, that reads a fixed date where it asks for today's.

    Args:
        template: Text, a table of texts, or None.
        day: ISO date.
    """
    if isinstance(template, Mapping):
        return {name: dated(one, day) for name, one in template.items()}
    if not isinstance(template, str):
        return template
    fixed = date.fromisoformat(day)
    return _STRFTIME.sub(lambda match: json.dumps(fixed.strftime(match[2])), template)


def _encode_chunk(
    tokenizer: Any, conversations: Sequence[Sequence[Message]], max_length: int | None, *, control: bool
) -> Iterator[Tokens | DataError]:
    rows = [Row(tokenizer, one, control=control) for one in conversations]
    for row in rows:
        if not _has_reply(row.messages):
            row.problem = "the last message is not a reply of the assistant"
        elif row.plain:
            row.take_as_it_is()
    sound = [row for row in rows if not (row.problem or row.plain)]
    plain = [row for row in sound if not getattr(row.messages[0], "tools", "")]
    turns = {id(row): row.turns() for row in sound}
    wholes = dict(
        zip(map(id, plain), render_all(tokenizer, [turns[id(r)] for r in plain], prompt=False), strict=True)
    )
    prompts = dict(
        zip(
            map(id, plain),
            render_all(tokenizer, [turns[id(r)][:-1] for r in plain], prompt=True),
            strict=True,
        )
    )
    for row in sound:
        row.render(turns[id(row)], wholes.get(id(row)))
        locate(
            row, row.turns() if row.merged else turns[id(row)], None if row.merged else prompts.get(id(row))
        )
    sound = [row for row in rows if not row.problem]
    encoded = dict(zip(map(id, sound), _encoded(tokenizer, sound), strict=True))
    for row in rows:
        try:
            if row.problem:
                raise DataError(row.problem)
            if row.plain:
                yield _framed(row, encoded[id(row)][0], max_length)
                continue
            yield _tokens(row, *encoded[id(row)], max_length)
        except DataError as problem:
            yield problem


def _has_reply(messages: Sequence[Message]) -> bool:
    if not messages or messages[-1].role != "assistant":
        return False
    last = messages[-1]
    return bool(last.content.strip() or (isinstance(last, Turn) and last.more))


def _tokens(row: Row, ids: list[int], start: int, end: int, max_length: int | None) -> Tokens:
    """Cut off what follows the reply's end mark, and what is too long."""
    if start < 1:
        raise DataError("the chat template writes nothing before the reply: there is no prompt to answer")
    place = _after_end_mark(row.tokenizer, ids, end)
    ids = ids[:place] if place else [*ids, *_closing(row)]
    cut = max_length is not None and len(ids) > max_length
    if max_length is not None and cut:
        if start + 2 > max_length:
            raise DataError(f"the prompt alone has {start} tokens; raise --max-length above {start + 1}")
        ids = [*ids[: max_length - 1], ids[-1]]
    return Tokens(np.array(ids, np.int32), start, cut, row.merged, len(row.taken))


def _framed(row: Row, ids: list[int], max_length: int | None) -> Tokens:
    """A plain text between the tokens that begin and end one; all but the first is learned."""
    inner = inner_of(row.tokenizer)
    start = [] if inner.bos_token_id is None else [inner.bos_token_id]
    ids = [*start, *ids, inner.eos_token_id]
    cut = max_length is not None and len(ids) > max_length
    if max_length is not None and cut:
        ids = [*ids[: max_length - 1], ids[-1]]
    if len(ids) < 2:
        raise DataError("the text has no tokens")
    return Tokens(np.array(ids, np.int32), 1, cut, defused=len(row.taken))


def _after_end_mark(tokenizer: Any, ids: list[int], end: int) -> int:
    """Where the reply's end mark ends, 0 if there is none; what the template puts after it is not learned.

    It is the first token after the reply that ends one; else the first control token, which the template ends it with.
    """
    named = getattr(tokenizer, "eos_token_ids", None)  # of mlx-lm's wrapper
    ends = set(named) if isinstance(named, set) and named else {tokenizer.eos_token_id}
    control = set(vocabulary(inner_of(tokenizer)).ids.values())
    for marks in (ends, control):
        for position in range(end, len(ids)):
            if ids[position] in marks:
                return position + 1
    return 0


def _closing(row: Row) -> list[int]:
    """Ids that end a reply which the template leaves open: as it is ended where the conversation goes on."""
    *before, last = row.turns()
    reply = {"role": last["role"], "content": OTHER_REPLY}
    with suppress(DataError, ValueError):
        text = render(
            row.tokenizer, [*before, reply, {"role": "user", "content": OTHER_REPLY}], None, prompt=False
        )
        first, second = text.index(OTHER_REPLY), text.rindex(OTHER_REPLY)
        ids = _plain(row.tokenizer, text[first + 1 : second], row.taken)
        if place := _after_end_mark(row.tokenizer, ids, 0):
            return ids[:place]
    raise DataError("the chat template ends a reply with no control token: nothing would tell where it ends")


def _ids(tokenizer: Any, rows: Sequence[Row]) -> list[list[int]]:
    return [ids for ids, _, _ in _encoded(tokenizer, rows)]


def _encoded(tokenizer: Any, rows: Sequence[Row]) -> list[tuple[list[int], int, int]]:
    """Ids of each row's text, the first token of its reply, and the first that is not of it."""
    inner = inner_of(tokenizer)
    backend = getattr(inner, "backend_tokenizer", None)
    if backend is None:
        return [_in_pieces(tokenizer, row) for row in rows]
    backend.no_padding()
    backend.no_truncation()
    backend.encode_special_tokens = False
    encodings = backend.encode_batch([row.text for row in rows], add_special_tokens=False)
    known = vocabulary(inner)
    found = []
    for row, encoding in zip(rows, encodings, strict=True):
        ids: list[int] = encoding.ids
        if row.taken or (known.loose and _smuggled(ids, row.text, known, inner)):
            found.append(_in_pieces(tokenizer, row))
        else:
            start, end = (_token_at(encoding, place, len(row.text), len(ids)) for place in row.span)
            found.append((ids, start, end))
    return found


def _token_at(encoding: Any, character: int, characters: int, count: int) -> int:
    """The first token that reaches beyond a character's place."""
    while character < characters:
        token = encoding.char_to_token(character)
        if token is not None:
            return int(token)
        character += 1  # a space that no token holds
    return count


def _smuggled(ids: list[int], text: str, known: Vocabulary, inner: Any) -> bool:
    """Whether there are more control tokens than the template wrote, from texts that only look otherwise."""
    control = set(known.ids.values()) - {inner.unk_token_id}
    return sum(one in control for one in ids) > sum(1 for _ in known.texts.finditer(text))


def _in_pieces(tokenizer: Any, row: Row) -> tuple[list[int], int, int]:
    """Ids of a text with stand-ins: control tokens are looked up, all else is encoded as text."""
    start, end = row.span
    parts = [row.text[:start], row.text[start:end], row.text[end:]]
    before, reply, after = (_plain(tokenizer, part, row.taken) for part in parts)
    return [*before, *reply, *after], len(before), len(before) + len(reply)


def _plain(tokenizer: Any, text: str, taken: Mapping[str, str]) -> list[int]:
    inner = inner_of(tokenizer)
    known = vocabulary(inner)
    standins = str.maketrans(dict(taken))
    ids, position = list[int](), 0

    def encode_text(piece: str) -> None:
        if piece:
            ids.extend(
                inner(piece.translate(standins), add_special_tokens=False, split_special_tokens=True)[
                    "input_ids"
                ]
            )

    for match in known.texts.finditer(text):
        if match[0] in known.ids:
            encode_text(text[position : match.start()])
            ids.append(known.ids[match[0]])
            position = match.end()
    encode_text(text[position:])
    return ids
