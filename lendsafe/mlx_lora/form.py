"""Replies in labelled segments: what may come next, whatever the tokenizer.

A :class:`Form` names the segments of one reply in order. Generation is held to it by a logits processor: the
reply is label, text, label, text and so on, then the end mark. The rules are about characters; which tokens
keep them is found by writing out each token's text, so they hold for any tokenizer that can write a label
character by character. They forbid and never prefer: a reply that keeps them is written as it would be without.
"""

import re
from bisect import bisect_left
from codecs import getincrementaldecoder
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from lendsafe.errors import ConfigError

ENDS = ".!?"  # what ends a sentence
CLOSERS = "\"')\u2019\u201d"  # what may follow it, within the sentence
SPACES = 2  # in a row, at most
_MARKS = frozenset("[]{}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BYTE = re.compile("[\udc80-\udcff]")  # part of a character's UTF-8, as `surrogateescape` writes it
_WORD = re.compile(r"[^\W_]+")
_OTHERS = re.compile(f"[^\\w {re.escape(ENDS + CLOSERS)}\udc80-\udcff]+|_+")
_UTF8 = getincrementaldecoder("utf-8")
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf]")  # which the decoder refuses only at the third byte


@dataclass(frozen=True, slots=True)
class Segment:
    """One labelled stretch of a reply.

    Attributes:
        label: What opens it, in square brackets, such as ``[reason 1]``.
        slots: Names that may be written in braces in it.
        budget: Tokens after which it has to close at its next sentence end. At twice as many it is given up.
        required: Whether it needs a sentence; else it may stay empty.

    Raises:
        ConfigError: If the label is not one pair of brackets around ASCII text, a slot's name is not ASCII, or the
            budget is below 1.
    """

    label: str
    slots: frozenset[str] = frozenset()
    budget: int = 96
    required: bool = True

    def __post_init__(self) -> None:
        inner = self.label[1:-1]
        if self.label != f"[{inner}]" or not _is_name(inner):
            raise ConfigError(f"{self.label!r} is no label; expected ASCII text in square brackets.")
        if wrong := sorted(one for one in self.slots if not _is_name(one)):
            raise ConfigError(f"{wrong[0]!r} is no name of a slot; expected ASCII text without brackets.")
        if self.budget < 1:
            raise ConfigError(f"The budget of {self.label} is {self.budget}; expected at least 1.")


def _is_name(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and not _MARKS & set(text)


@dataclass(frozen=True, slots=True)
class Form:
    """The segments of one reply, in order.

    Attributes:
        segments: At least one.
    """

    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        if not self.segments:
            raise ConfigError("A form has at least one segment.")

    @property
    def limit(self) -> int:
        """Most tokens that a reply in this form can take: a token a character of a label and its spaces."""
        labels = sum(len(one.label) + 2 * SPACES for one in self.segments)
        return labels + sum(2 * one.budget for one in self.segments) + 1


class State(NamedTuple):
    """Where a reply stands.

    Attributes:
        segment: Whose text is written; -1 before the first label.
        open: What has been written of a label or slot since its bracket; else empty.
        said: Whether the segment holds a letter, digit or slot.
        ended: Whether its text is at the end of a sentence.
        spaces: In a row, just before.
        partial: Bytes of a character that has been begun.
    """

    segment: int
    open: str = ""
    said: bool = False
    ended: bool = False
    spaces: int = 0
    partial: bytes = b""


START = State(-1, said=True, ended=True, spaces=1)


def complete(form: Form, state: State) -> bool:
    """Whether the segment that is written may end here."""
    if state.open or state.partial:
        return False
    return (state.said and state.ended) or not (state.said or form.segments[state.segment].required)


def advance(form: Form, state: State, character: str, *, closing: bool) -> State | None:
    """The state after one more character; None if it may not follow.

    Args:
        form: What is written.
        state: Before.
        character: The next, or a byte of it as a lone surrogate (``surrogateescape``).
        closing: Whether the segment may not begin another sentence.
    """
    if state.open:
        return _inside_brackets(form, state, state.open + character)
    if state.partial or _BYTE.match(character):
        return _inside_character(form, state, character, closing=closing)
    if character == "[":
        opens = state.segment + 1 < len(form.segments) and complete(form, state)
        return state._replace(open="[") if opens else None
    if character == " ":
        return state._replace(spaces=state.spaces + 1) if state.spaces < SPACES else None
    if _over(state, closing=closing) or _CONTROL.match(character):
        return None
    if character == "{":
        return state._replace(open="{", spaces=0) if form.segments[state.segment].slots else None
    if character in _MARKS or (character in ENDS and not state.said):
        return None
    ended = character in ENDS or (state.ended and character in CLOSERS and not state.spaces)
    return State(state.segment, "", state.said or character.isalnum(), ended)


def _over(state: State, *, closing: bool) -> bool:
    """Whether the segment's text has to end here."""
    return (closing or state.segment < 0) and state.said and state.ended


def _inside_character(form: Form, state: State, byte: str, *, closing: bool) -> State | None:
    written = state.partial + byte.encode("utf-8", "surrogateescape")
    if _over(state, closing=closing) or _SURROGATE.match(written):
        return None
    try:
        whole = _UTF8().decode(written)
    except UnicodeDecodeError:
        return None
    if not whole:
        return state._replace(partial=written)
    return advance(form, state._replace(partial=b""), whole, closing=closing)


def _inside_brackets(form: Form, state: State, written: str) -> State | None:
    if written[0] == "[":
        label = form.segments[state.segment + 1].label
        whole, possible = written == label, label.startswith(written)
        after = State(state.segment + 1)
    else:
        names = form.segments[state.segment].slots
        whole = written[1:-1] in names and written[-1] == "}"
        possible = any(f"{name}}}".startswith(written[1:]) for name in names)
        after = State(state.segment, said=True)
    return after if whole else state._replace(open=written) if possible else None


def follows(form: Form, state: State, text: str, *, closing: bool) -> State | None:
    """The state after a token's text; None if it may not follow.

    No token reaches over a whole segment, so that what may follow depends on two segments alone.
    """
    at = state
    for character in text:
        same = at.segment == state.segment
        following = advance(form, at, character, closing=closing and same)
        if following is None or (following.segment > state.segment and following.open[:1] == "["):
            return None
        at = following
    return at


class Vocabulary:
    """What each token of a tokenizer writes, and which tokens may follow a state.

    Args:
        tokenizer: With ``encode``, ``batch_decode``, ``all_special_ids`` and ``eos_token_ids``.

    Raises:
        ConfigError: If a character of a label or slot has no token of its own, so that there may be no way to
            go on with one that has been begun.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.ends = sorted(tokenizer.eos_token_ids)
        self.texts = _texts(tokenizer)
        self._by_text: dict[str, list[int]] = {}
        for number, text in enumerate(self.texts):
            if text:
                self._by_text.setdefault(text, []).append(number)
        self._sorted = sorted(self._by_text)
        lines = [text for text in self._sorted if not _CONTROL.search(text)]
        self._marked = [text for text in lines if _MARKS & set(text)]
        plain: dict[str, list[int]] = {}
        for text in lines:
            if not _MARKS & set(text):
                plain.setdefault(_shape(text), []).extend(self._by_text[text])
        self._plain = {shape: np.array(numbers) for shape, numbers in plain.items()}
        self._plain_after: dict[tuple[State, bool], np.ndarray] = {}
        self._found: dict[Any, mx.array] = {}
        self._same: dict[bytes, mx.array] = {}

    def check(self, form: Form) -> None:
        """Refuse a form that this vocabulary cannot write."""
        needed = {*"[]{}. ", *"".join(one.label + "".join(one.slots) for one in form.segments)}
        missing = sorted(needed - self._by_text.keys())
        if missing:
            raise ConfigError(
                f"The model's tokenizer has no token for {missing[0]!r}, so its replies cannot be held to their parts."
            )

    def allowed(self, form: Form, state: State, *, closing: bool, width: int) -> mx.array:
        """Tokens that may follow.

        Args:
            form: What is written; :meth:`check` has passed.
            state: Where the reply stands.
            closing: Whether the segment may not begin another sentence.
            width: Of the model's logits, which may have room for more tokens.

        Returns:
            ``(width,)`` booleans, at least one of them true.
        """
        place = (form.segments[max(state.segment, 0) : state.segment + 2], state.segment < 0)
        key = (place, state[1:], closing, width)
        if (found := self._found.get(key)) is None:
            mask = np.zeros(width, bool)
            mask[: len(self.texts)] = self._mask(form, state, closing=closing)[:width]
            found = self._found[key] = self._same.setdefault(mask.tobytes(), mx.array(mask))
        return found

    def _mask(self, form: Form, state: State, *, closing: bool) -> np.ndarray:
        if state.open:
            mask = np.zeros(len(self.texts), bool)
            candidates: Iterator[str] | list[str] = self._spelling(form, state)
        else:
            mask = self._plain_mask(form, state, closing=closing).copy()
            candidates = self._marked
        for text in candidates:
            if follows(form, state, text, closing=closing) is not None:
                mask[self._by_text[text]] = True
        if state.segment == len(form.segments) - 1 and complete(form, state):
            mask[self.ends] = True
        return mask

    def _spelling(self, form: Form, state: State) -> Iterator[str]:
        """Tokens that go on with a label or slot, or finish it and go on."""
        if state.open[0] == "[":
            literals = [form.segments[state.segment + 1].label]
        else:
            literals = [f"{{{name}}}" for name in form.segments[state.segment].slots]
        for literal in literals:
            if literal.startswith(state.open):
                rest = literal[len(state.open) :]
                yield from (rest[:n] for n in range(1, len(rest)) if rest[:n] in self._by_text)
                at = bisect_left(self._sorted, rest)
                while at < len(self._sorted) and self._sorted[at].startswith(rest):
                    yield self._sorted[at]
                    at += 1

    def _plain_mask(self, form: Form, state: State, *, closing: bool) -> np.ndarray:
        """Tokens without brackets that may follow: the same in every segment, so found once."""
        key = (state._replace(segment=min(state.segment, 0)), closing)
        if (mask := self._plain_after.get(key)) is None:
            mask = np.zeros(len(self.texts), bool)
            for shape, numbers in self._plain.items():
                if follows(form, state, shape, closing=closing) is not None:
                    mask[numbers] = True
            self._plain_after[key] = mask
        return mask


def _shape(text: str) -> str:
    """A text with a letter for each word and a comma for other characters: texts of a shape may follow alike."""
    return _OTHERS.sub(",", _WORD.sub("a", text))


def _texts(tokenizer: Any) -> list[str]:
    """What each token adds to a text that has begun; empty for control tokens.

    A tokenizer's own way of joining tokens, and of marking spaces, is at work. A byte that is not a whole character
    becomes a lone surrogate (``surrogateescape``).
    """
    (*_, anchor) = tokenizer.encode("a", add_special_tokens=False)
    alone, *pairs = tokenizer.batch_decode(
        [[anchor], *([anchor, number] for number in range(len(tokenizer)))],
        skip_special_tokens=False,
        clean_up_tokenization_spaces=False,
    )
    control = {*tokenizer.all_special_ids, *tokenizer.eos_token_ids}
    control |= {number for number, one in tokenizer.added_tokens_decoder.items() if one.special}
    texts = [
        "" if number in control or not text.startswith(alone) else text[len(alone) :]
        for number, text in enumerate(pairs)
    ]
    parts = [number for number, text in enumerate(texts) if "\ufffd" in text]
    for number, name in zip(parts, tokenizer.convert_ids_to_tokens(parts), strict=True):
        texts[number] = _bytes_of(name).decode("utf-8", "surrogateescape")
    return texts


def _bytes_of(name: str) -> bytes:
    """Bytes of a token that is not whole characters: ``<0xE2>``, or a character a byte, as GPT-2 names them."""
    if byte := re.fullmatch(r"<0x([0-9A-F]{2})>", name):
        return bytes.fromhex(byte[1])
    names = _byte_names()
    return bytes(names[one] for one in name) if all(one in names for one in name) else b""


@lru_cache(maxsize=1)
def _byte_names() -> dict[str, int]:
    """GPT-2's byte-level names: Latin-1's visible characters stand for themselves, the others from U+0100 on."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(0x100) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(0x100 + n): byte for n, byte in enumerate(hidden)}


@lru_cache(maxsize=2)
def vocabulary(tokenizer: Any) -> Vocabulary:
    """The vocabulary of a tokenizer, worked out once."""
    return Vocabulary(tokenizer)


class Constraint:
    """Logits processor that holds one reply to its form.

    Args:
        form: Of the reply.
        known: Vocabulary of the model's tokenizer.
    """

    def __init__(self, form: Form, known: Vocabulary) -> None:
        known.check(form)
        self.form, self._known = form, known
        self.state: State | None = START
        self.used = 0  # tokens of the segment's text
        self._begun = False

    def __call__(self, context: mx.array, logits: mx.array) -> mx.array:
        """Rule out what may not follow.

        Args:
            context: Tokens of prompt and reply so far, ``(T,)``; each call sees one more than the one before.
            logits: ``(1, V)``.
        """
        if self._begun:
            self.take(int(context[-1].item()))  # type: ignore[arg-type]  # its stub allows any number
        self._begun = True
        return mx.where(self.allowed(logits.shape[-1]), logits, -mx.inf)

    @property
    def complete(self) -> bool:
        """Whether the reply may end here: every segment has been written."""
        state = self.state
        return (
            state is not None and state.segment == len(self.form.segments) - 1 and complete(self.form, state)
        )

    def take(self, token: int) -> None:
        """Go on by one token of the reply; the end mark changes nothing."""
        text = self._known.texts[token] if token < len(self._known.texts) else ""
        if self.state is None or not text:
            return
        before = self.state
        self.state = follows(self.form, before, text, closing=self._closing(before))
        if self.state is not None:
            self.used = 0 if self.state.segment > before.segment else self.used + (self.state.open[:1] != "[")

    def allowed(self, width: int) -> mx.array:
        """Tokens that may follow, ``(width,)``; after a segment that was given up, the end mark alone."""
        if self.state is None or self._given_up(self.state):
            return mx.array(np.isin(np.arange(width), self._known.ends))
        closing = self._closing(self.state)
        return self._known.allowed(self.form, self.state, closing=closing, width=width)

    def _given_up(self, state: State) -> bool:
        inside = state.segment >= 0 and state.open[:1] != "[" and not complete(self.form, state)
        return inside and self.used >= 2 * self.form.segments[state.segment].budget

    def _closing(self, state: State) -> bool:
        spent = state.segment < 0 or self.used >= self.form.segments[state.segment].budget
        return spent and not state.partial  # a character that has been begun is finished first
