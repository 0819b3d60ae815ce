"""Messages to the text that a chat template makes of them, and where in it the reply is.

Texts of control tokens are taken out of the messages before the template sees them, a stand-in character each; whoever
makes ids of the text puts them back, as plain text.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from lendsafe.errors import DataError
from lendsafe.records import Message

_STANDINS = "\U000f0000-\U000ffffd"  # a private plane: no text has a meaning there
OTHER_REPLY = "\ue0f0"
# Marks of an assistant's reasoning and tool calls, as far as they are control tokens of some tokenizer.
_OWN = re.compile(
    r"[<\[]?[<\[|/]*[a-z_:-]*(think|thought|reasoning|channel|tool_?calls?)[a-z_:-]*\|?[>\]]", re.IGNORECASE
)
_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")


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


def as_json(message: Message) -> dict[str, Any]:
    """A message as a chat template reads it."""
    more = json.loads(message.more) if isinstance(message, Turn) and message.more else {}
    return {"role": message.role, "content": message.content} | more


@dataclass(slots=True, eq=False)
class Row:
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
                render(self.tokenizer, turns, self.tools(), prompt=not self.reply) if text is None else text
            )
        except DataError as problem:
            self.problem = str(problem)
            joined = _merged(self.messages)
            if joined is None:
                return
            self.messages = joined
            try:
                self.text = render(self.tokenizer, self.turns(), self.tools(), prompt=not self.reply)
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
        known = vocabulary(inner_of(self.tokenizer))
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
class Vocabulary:
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
def vocabulary(inner: Any) -> Vocabulary:
    """Control tokens of transformers' tokenizer."""
    added = [one for one in getattr(inner, "added_tokens_decoder", {}).values() if one.special]
    names = {str(one) for one in added} | {str(one) for one in inner.all_special_tokens}
    ids = {name: inner.convert_tokens_to_ids(name) for name in names if name}
    foreign = _any_of(name for name in ids if not _OWN.fullmatch(name))
    return Vocabulary(_any_of(ids), foreign, ids, loose=any(one.normalized for one in added))


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    """Matches the longest of some texts, or a character that could be taken for a stand-in."""
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    return re.compile("|".join([*map(re.escape, longest_first), f"[{_STANDINS}]"]))


def inner_of(tokenizer: Any) -> Any:
    """Transformers' tokenizer, out of mlx-lm's wrapper if it is in one."""
    inner = getattr(tokenizer, "_tokenizer", None)
    return inner if hasattr(inner, "chat_template") else tokenizer


def render(
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
                return render(tokenizer, turns, [], prompt=prompt, **more)
        why = " ".join(str(problem).split()) or type(problem).__name__
        raise DataError(f"the chat template refuses it: {why[:200]}") from problem
    return text


def _has_template(tokenizer: Any) -> bool:
    inner = inner_of(tokenizer)
    return bool(getattr(inner, "chat_template", None) or getattr(tokenizer, "_chat_template", None))


def render_all(
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


def locate(row: Row, turns: list[dict[str, Any]], prompt: str | None) -> None:
    """Find the reply's span: by the template's marks, by the prompt, or by what changes with the reply."""
    if row.problem:
        return
    if marked := _marked(row, turns):
        row.span = marked
        return
    if prompt is None:
        try:
            prompt = render(row.tokenizer, turns[:-1], row.tools(), prompt=True)
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


def _compare(row: Row, turns: list[dict[str, Any]], prompt: str) -> None:
    """Find the reply by rendering another one in its place."""
    if not str(turns[-1]["content"]).strip():
        row.problem = "the chat template's prompt is not a prefix of the whole conversation"
        return
    try:
        other = render(
            row.tokenizer, [*turns[:-1], turns[-1] | {"content": OTHER_REPLY}], row.tools(), prompt=False
        )
    except DataError as problem:
        row.problem = str(problem)
        return
    if OTHER_REPLY not in other:
        row.problem = "the chat template leaves out the reply"
        return
    after = other[other.rindex(OTHER_REPLY) + 1 :]
    start = _common(row.text, other)
    end = len(row.text) - len(after) if row.text.endswith(after) else start
    row.span = (_header(row, turns, prompt, start), max(start, end))


def _header(row: Row, turns: list[dict[str, Any]], prompt: str, content: int) -> int:
    """Where the reply starts: where the whole text leaves the prompt, if what is before is the same in both."""
    try:
        before = render(row.tokenizer, turns[:-1], row.tools(), prompt=False)
    except DataError:
        return content
    if not (prompt.startswith(before) and row.text.startswith(before)):
        return content  # the template shows the turns before otherwise once there is a reply
    opening = prompt[len(before) :]
    first = vocabulary(inner_of(row.tokenizer)).texts.search(opening)
    alike = _common(row.text[len(before) : content], opening)
    if alike < (first.end() if first else len(opening.split(maxsplit=1)[0]) if opening.split() else 1):
        return content  # another turn's end stands there first
    return len(before) + alike


def _marked(row: Row, turns: list[dict[str, Any]]) -> tuple[int, int] | None:
    """The span between the template's own marks of what the assistant generates, if it has such."""
    template = getattr(inner_of(row.tokenizer), "chat_template", None)
    if not (isinstance(template, str) and _GENERATION.search(template)):
        return None
    from transformers.utils.chat_template_utils import render_jinja_template

    inner, more = inner_of(row.tokenizer), dict[str, Any]()
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
