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
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from lendsafe.errors import DataError, RefusedError
from lendsafe.records import Message

_CHUNK = 512  # conversations rendered and tokenised at a time
_STANDINS = "\U000f0000-\U000ffffd"  # a private plane: no text has a meaning there
_OTHER_REPLY = "\ue0f0"
# Marks of an assistant's reasoning and tool calls, as far as they are control tokens of some tokenizer.
_OWN = re.compile(
    r"[<\[]?[<\[|/]*[a-z_:-]*(think|thought|reasoning|channel|tool_?calls?)[a-z_:-]*\|?[>\]]", re.IGNORECASE
)
_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
_STRFTIME = re.compile(r"""strftime_now\(\s*(?:format\s*=\s*)?(["'])(.*?)\1\s*\)""")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Turn(Message):
    """A message with more than a role and a text.

    Attributes:
        more: JSON object of what the template may read beside them, such as ``reasoning_content`` and ``tool_calls``.
        tools: JSON list of the tools that may be called; on the first message of a conversation.
        plain: Whether it is a text to learn as it is, without a chat template; then it is the only one.
        weight: Of the assistant's: 1 to learn it, 0 not to; None where the data says nothing.
    """

    more: str = ""
    tools: str = ""
    plain: bool = False
    weight: int | None = None


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
    row = _Row(tokenizer, messages, reply=False)
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


def as_json(message: Message) -> dict[str, Any]:
    """A message as a chat template reads it."""
    more = json.loads(message.more) if isinstance(message, Turn) and message.more else {}
    return {"role": message.role, "content": message.content} | more


# -- rendering -----------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Row:
    """One conversation on its way to ids."""

    tokenizer: Any
    messages: Sequence[Message]
    reply: bool = True
    control: bool = False
    taken: dict[str, str] = field(default_factory=dict)  # stand-in -> the text that it stands for
    text: str = ""
    problem: str = ""
    merged: bool = False
    span: tuple[int, int] = (0, 0)  # of the reply in the text, without its end mark

    @property
    def plain(self) -> bool:
        """Whether it is a text and no conversation."""
        return bool(self.messages) and getattr(self.messages[-1], "plain", False)

    def take_as_it_is(self) -> None:
        """Take a plain text without a template."""
        self.text = self.messages[-1].content if self.control else self._defused(self.messages[-1].content)

    def turns(self) -> list[dict[str, Any]]:
        """Messages as the template gets them, with stand-ins."""
        return [self._turn(message) for message in self.messages]

    def tools(self) -> Any:
        """Tools that may be called, or None."""
        text = getattr(self.messages[0], "tools", "") if self.messages else ""
        return json.loads(self._defused(text)) if text else None

    def render(self, turns: list[dict[str, Any]] | None = None, text: str | None = None) -> None:
        """Render the text, if it is not given; a template without a system role gets it with the user's."""
        turns = self.turns() if turns is None else turns
        try:
            self.text = (
                _render(self.tokenizer, turns, self.tools(), prompt=not self.reply) if text is None else text
            )
        except DataError as problem:
            self.problem = str(problem)
            joined = _merged(self.messages)
            if joined is None:
                return
            self.messages = joined
            try:
                self.text = _render(self.tokenizer, self.turns(), self.tools(), prompt=not self.reply)
            except DataError:
                return
            self.problem, self.merged = "", True

    def _turn(self, message: Message) -> dict[str, Any]:
        own = message.role == "assistant"
        if self.control and own:
            return as_json(message)
        if isinstance(message, Turn):
            message = replace(message, more=self._defused(message.more, own=own))
        return as_json(message) | {"content": self._defused(message.content, own=own)}

    def _defused(self, text: str, *, own: bool = False) -> str:
        """Text with stand-ins; the assistant's own may open and close its reasoning and its calls."""
        known = _vocabulary(_inner(self.tokenizer))
        pattern = known.foreign if own else known.texts
        if not pattern.search(text):
            return text
        standins = {original: standin for standin, original in self.taken.items()}

        def stand_in(match: re.Match[str]) -> str:
            if match[0] not in standins:
                standins[match[0]] = chr(0xF0000 + len(standins))
                self.taken[standins[match[0]]] = match[0]
            return standins[match[0]]

        return pattern.sub(stand_in, text)


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """What has to be known of a tokenizer's control tokens.

    Attributes:
        texts: Matches the text of any of them, and any character that could be taken for a stand-in.
        foreign: The same, without those that mark reasoning and tool calls, which belong into a reply.
        ids: Theirs.
        loose: Whether one is also matched in other spellings, which its text does not show.
    """

    texts: re.Pattern[str]
    foreign: re.Pattern[str]
    ids: Mapping[str, int]
    loose: bool


@lru_cache(maxsize=8)
def _vocabulary(inner: Any) -> _Vocabulary:
    added = [one for one in getattr(inner, "added_tokens_decoder", {}).values() if one.special]
    names = {str(one) for one in added} | {str(one) for one in inner.all_special_tokens}
    ids = {name: inner.convert_tokens_to_ids(name) for name in names if name}
    foreign = _any_of(name for name in ids if not _OWN.fullmatch(name))
    return _Vocabulary(_any_of(ids), foreign, ids, loose=any(one.normalized for one in added))


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    """Matches the longest of some texts, or a character that could be taken for a stand-in."""
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    return re.compile("|".join([*map(re.escape, longest_first), f"[{_STANDINS}]"]))


def _inner(tokenizer: Any) -> Any:
    """Transformers' tokenizer, out of mlx-lm's wrapper if it is in one."""
    inner = getattr(tokenizer, "_tokenizer", None)
    return inner if hasattr(inner, "chat_template") else tokenizer


def _render(
    tokenizer: Any, turns: Sequence[Mapping[str, Any]], tools: Any, *, prompt: bool, **more: Any
) -> str:
    """The template's text of a conversation.

    Raises:
        DataError: If there is no template, or it refuses the conversation, in the template's words.
    """
    if not _has_template(tokenizer):
        raise DataError("the tokenizer has no chat template; give one with --chat-template FILE")
    if tools is not None:
        more["tools"] = tools
    try:
        text: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=prompt, **more)
    except Exception as problem:
        if (
            isinstance(problem, TypeError) and "tools" not in more
        ):  # one that reads a list of tools without asking
            with suppress(DataError):
                return _render(tokenizer, turns, [], prompt=prompt, **more)
        why = " ".join(str(problem).split()) or type(problem).__name__
        raise DataError(f"the chat template refuses it: {why[:200]}") from problem
    return text


def _has_template(tokenizer: Any) -> bool:
    inner = _inner(tokenizer)
    return bool(getattr(inner, "chat_template", None) or getattr(tokenizer, "_chat_template", None))


def _render_all(
    tokenizer: Any, conversations: Sequence[Sequence[Mapping[str, Any]]], *, prompt: bool
) -> list[str | None]:
    """Texts of many conversations at once; all None if one of them fails, to be tried one by one."""
    if getattr(tokenizer, "_chat_template", None) is not None:  # mlx-lm's own, which takes one at a time
        return [None] * len(conversations)
    try:
        texts: Any = tokenizer.apply_chat_template(
            list(conversations), tokenize=False, add_generation_prompt=prompt
        )
    except Exception:
        return [None] * len(conversations)
    return list(texts) if len(texts) == len(conversations) else [None] * len(conversations)


def _merged(messages: Sequence[Message]) -> Sequence[Message] | None:
    """The conversation with its system message at the head of the first user's; None if there is none."""
    if len(messages) < 2 or messages[0].role != "system" or messages[1].role != "user":
        return None
    system, user, *rest = messages
    joined = Turn(
        "user",
        f"{system.content}\n\n{user.content}",
        more=getattr(user, "more", ""),
        tools=getattr(system, "tools", "") or getattr(user, "tools", ""),
    )
    return [joined, *rest]


# -- where the reply is --------------------------------------------------------------------------


def _locate(row: _Row, turns: list[dict[str, Any]], prompt: str | None) -> None:
    """Find the reply's span: by the template's marks, by the prompt, or by what changes with the reply."""
    if row.problem:
        return
    if marked := _marked(row, turns):
        row.span = marked
        return
    if prompt is None:
        try:
            prompt = _render(row.tokenizer, turns[:-1], row.tools(), prompt=True)
        except DataError:  # some templates need a reply after each question
            prompt = ""
    reply = str(turns[-1]["content"]).strip()
    if prompt and row.text.startswith(prompt):
        start = len(prompt)
        at = row.text.rfind(reply, start) if reply else -1
        if at >= 0 or not reply:
            row.span = (start, at + len(reply) if at >= 0 else start)
            return
    _compare(row, turns, prompt)


def _compare(row: _Row, turns: list[dict[str, Any]], prompt: str) -> None:
    """Find the reply by rendering another one in its place."""
    if not str(turns[-1]["content"]).strip():
        row.problem = "the chat template's prompt is not a prefix of the whole conversation"
        return
    try:
        other = _render(
            row.tokenizer, [*turns[:-1], turns[-1] | {"content": _OTHER_REPLY}], row.tools(), prompt=False
        )
    except DataError as problem:
        row.problem = str(problem)
        return
    if _OTHER_REPLY not in other:
        row.problem = "the chat template leaves out the reply"
        return
    after = other[other.rindex(_OTHER_REPLY) + 1 :]
    start = _common(row.text, other)
    end = len(row.text) - len(after) if row.text.endswith(after) else start
    row.span = (_header(row, turns, prompt, start), max(start, end))


def _header(row: _Row, turns: list[dict[str, Any]], prompt: str, content: int) -> int:
    """Where the reply starts: where the whole text leaves the prompt, if what is before is the same in both."""
    try:
        before = _render(row.tokenizer, turns[:-1], row.tools(), prompt=False)
    except DataError:
        return content
    if not (prompt.startswith(before) and row.text.startswith(before)):
        return content  # the template shows the turns before otherwise once there is a reply
    opening = prompt[len(before) :]
    first = _vocabulary(_inner(row.tokenizer)).texts.search(opening)
    alike = _common(row.text[len(before) : content], opening)
    if alike < (first.end() if first else len(opening.split(maxsplit=1)[0]) if opening.split() else 1):
        return content  # another turn's end stands there first
    return len(before) + alike


def _marked(row: _Row, turns: list[dict[str, Any]]) -> tuple[int, int] | None:
    """The span between the template's own marks of what the assistant generates, if it has such."""
    template = getattr(_inner(row.tokenizer), "chat_template", None)
    if not (isinstance(template, str) and _GENERATION.search(template)):
        return None
    from transformers.utils.chat_template_utils import render_jinja_template

    inner, more = _inner(row.tokenizer), dict[str, Any]()
    if (key := getattr(row.tokenizer, "_thinking_kwarg", None)) is not None:
        more[key] = row.tokenizer.has_thinking
    texts, marks = render_jinja_template(
        conversations=[turns],
        tools=row.tools(),
        chat_template=template,
        return_assistant_tokens_mask=True,
        **inner.special_tokens_map,
        **more,
    )
    if texts[0] != row.text or not marks[0]:
        return None
    start, end = marks[0][-1]
    reply = str(turns[-1]["content"]).strip()
    at = row.text.rfind(reply, start, end)
    return (start, at + len(reply)) if at >= 0 else None


def _common(one: str, other: str) -> int:
    """Characters that two texts begin with alike."""
    limit = min(len(one), len(other))
    if one[:limit] == other[:limit]:
        return limit
    low, high = 0, limit  # alike up to low, not up to high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle)
    return low


# -- ids -----------------------------------------------------------------------------------------


def _encode_chunk(
    tokenizer: Any, conversations: Sequence[Sequence[Message]], max_length: int | None, *, control: bool
) -> Iterator[Tokens | DataError]:
    rows = [_Row(tokenizer, one, control=control) for one in conversations]
    for row in rows:
        if not _has_reply(row.messages):
            row.problem = "the last message is not a reply of the assistant"
        elif row.plain:
            row.take_as_it_is()
    sound = [row for row in rows if not (row.problem or row.plain)]
    plain = [row for row in sound if not getattr(row.messages[0], "tools", "")]
    turns = {id(row): row.turns() for row in sound}
    wholes = dict(
        zip(map(id, plain), _render_all(tokenizer, [turns[id(r)] for r in plain], prompt=False), strict=True)
    )
    prompts = dict(
        zip(
            map(id, plain),
            _render_all(tokenizer, [turns[id(r)][:-1] for r in plain], prompt=True),
            strict=True,
        )
    )
    for row in sound:
        row.render(turns[id(row)], wholes.get(id(row)))
        _locate(
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


def _tokens(row: _Row, ids: list[int], start: int, end: int, max_length: int | None) -> Tokens:
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


def _framed(row: _Row, ids: list[int], max_length: int | None) -> Tokens:
    """A plain text between the tokens that begin and end one; all but the first is learned."""
    inner = _inner(row.tokenizer)
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
    control = set(_vocabulary(_inner(tokenizer)).ids.values())
    for marks in (ends, control):
        for position in range(end, len(ids)):
            if ids[position] in marks:
                return position + 1
    return 0


def _closing(row: _Row) -> list[int]:
    """Ids that end a reply which the template leaves open: as it is ended where the conversation goes on."""
    *before, last = row.turns()
    reply = {"role": last["role"], "content": _OTHER_REPLY}
    with suppress(DataError, ValueError):
        text = _render(
            row.tokenizer, [*before, reply, {"role": "user", "content": _OTHER_REPLY}], None, prompt=False
        )
        first, second = text.index(_OTHER_REPLY), text.rindex(_OTHER_REPLY)
        ids = _plain(row.tokenizer, text[first + 1 : second], row.taken)
        if place := _after_end_mark(row.tokenizer, ids, 0):
            return ids[:place]
    raise DataError("the chat template ends a reply with no control token: nothing would tell where it ends")


def _ids(tokenizer: Any, rows: Sequence[_Row]) -> list[list[int]]:
    return [ids for ids, _, _ in _encoded(tokenizer, rows)]


def _encoded(tokenizer: Any, rows: Sequence[_Row]) -> list[tuple[list[int], int, int]]:
    """Ids of each row's text, the first token of its reply, and the first that is not of it."""
    inner = _inner(tokenizer)
    backend = getattr(inner, "backend_tokenizer", None)
    if backend is None:
        return [_in_pieces(tokenizer, row) for row in rows]
    backend.no_padding()
    backend.no_truncation()
    backend.encode_special_tokens = False
    encodings = backend.encode_batch([row.text for row in rows], add_special_tokens=False)
    known = _vocabulary(inner)
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


def _smuggled(ids: list[int], text: str, known: _Vocabulary, inner: Any) -> bool:
    """Whether there are more control tokens than the template wrote, from texts that only look otherwise."""
    control = set(known.ids.values()) - {inner.unk_token_id}
    return sum(one in control for one in ids) > sum(1 for _ in known.texts.finditer(text))


def _in_pieces(tokenizer: Any, row: _Row) -> tuple[list[int], int, int]:
    """Ids of a text with stand-ins: control tokens are looked up, all else is encoded as text."""
    start, end = row.span
    parts = [row.text[:start], row.text[start:end], row.text[end:]]
    before, reply, after = (_plain(tokenizer, part, row.taken) for part in parts)
    return [*before, *reply, *after], len(before), len(before) + len(reply)


def _plain(tokenizer: Any, text: str, taken: Mapping[str, str]) -> list[int]:
    inner = _inner(tokenizer)
    known = _vocabulary(inner)
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
