"""Approved language: which sentences a part of a reply may hold, exact, hashed, read back or refused.

Two sentences are the same if nothing that bears meaning differs: every word in its order, every mark
but the comma, every slot. Articles, "your" and commas may differ, unless they stand beside a word that
turns what is near it ("a little" and "little", "no" and "not a"); so may "is" and "was".

A wording may hold ``<purpose>`` where the purpose of the loan is named, and ``<missing>`` where what an
application lacks is listed: only the assessment's own are read there, in the words approved for them.
What is worded by the number of the factors is approved for ``one`` or for ``several`` of them.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import get_args

from lendsafe.errors import RefusedError
from lendsafe.eval.truth import sentences
from lendsafe.eval.truth.lexicon import lexicon
from lendsafe.files import disk_errors, write_atomically
from lendsafe.parts import Kind, Part

FORMAT = "lendsafe-language-1"
PURPOSE, MISSING = "<purpose>", "<missing>"

Key = tuple[str, ...]

_TOKEN = re.compile(r"<purpose>|<missing>|\{\w*\}|[^\W_]+(?:['.,-][^\W_]+)*|[^\s]")
_FREE = frozenset({"a", "an", "the", ","})
_SAME = {"your": "the", "was": "is", "were": "are"}
_OPENER = re.compile(r"[^,{}.]+,(?=\s)")
_PLAIN = str.maketrans({"\u2019": "'", "\u2018": "'", "\u00a0": " ", "\u2011": "-"})


@lru_cache(maxsize=1 << 17)
def key(sentence: str) -> Key:
    """What bears meaning in a sentence, in order."""
    tokens = [_SAME.get(token, token) for token in _TOKEN.findall(sentence.translate(_PLAIN).lower())]
    turns = lexicon().turning
    return tuple(
        token
        for at, token in enumerate(tokens)
        if token not in _FREE
        or (at and _turning(tokens[at - 1], turns))
        or (at + 1 < len(tokens) and _turning(tokens[at + 1], turns))
    )


def _turning(token: str, turns: frozenset[str]) -> bool:
    return token in turns or token.endswith("n't") or token[0].isdigit()


@dataclass(frozen=True)
class Language:
    """What may be sent without a person.

    Attributes:
        wordings: Sentences in slot form, by part.
        purposes: How each purpose of a loan is named; empty if a purpose goes unsaid.
        items: How each item that an application may lack is named.
    """

    wordings: Mapping[Part, frozenset[str]]
    purposes: Mapping[str, str] = field(default_factory=dict)
    items: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_wordings(
        cls,
        pairs: Iterable[tuple[Part, str]],
        purposes: Mapping[str, str] | None = None,
        items: Mapping[str, str] | None = None,
    ) -> "Language":
        """Collect approved wordings; a wording of several sentences approves each of them.

        Args:
            pairs: A part and what it may say, in slot form.
            purposes: How each purpose is named.
            items: How each item that may be missing is named.
        """
        found: dict[Part, set[str]] = {}
        for part, wording in pairs:
            text = " ".join(wording.split())
            found.setdefault(part, set()).update(text[start:end] for start, end in sentences.split(text))
        said = {part: frozenset(one) for part, one in found.items()}
        return cls(said, dict(purposes or {}), dict(items or {}))

    def allows(self, part: Part, sentence: str) -> bool:
        """Whether an approved wording of this very part says the same; see :meth:`masked`."""
        return key(sentence) in self._keys_of(part)

    def owners(self, sentence: str) -> tuple[Part, ...]:
        """Every part that a sentence is approved for."""
        return self._owners.get(key(sentence), ())

    def opener(self, sentence: str) -> str:
        """The word that links a sentence to the one before it ("Next,"), if it begins with one."""
        found = _OPENER.match(sentence)
        return found[0] if found and self.owners(found[0]) else ""

    def masked(self, sentence: str, purpose: str, missing: Sequence[str]) -> str:
        """A sentence with the words for this purpose and these missing items replaced by their marks."""
        marks = ((PURPOSE, self.purposes.get(purpose, "")), (MISSING, self.listed(missing)))
        for mark, words in marks:
            if words:
                sentence = _named(words).sub(mark, sentence, count=1)
        return sentence

    def listed(self, missing: Sequence[str]) -> str:
        """The missing items as a list in words: ``a``, ``a and b``, ``a, b and c``."""
        words = [self.items.get(name, name.replace("_", " ")) for name in missing]
        return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)

    def purposes_in(self, sentence: str) -> list[str]:
        """Purposes that a sentence names in their approved words."""
        return [name for name, words in self.purposes.items() if words and _named(words).search(sentence)]

    def _keys_of(self, part: Part) -> frozenset[Key]:
        if part not in self._keys:
            self._keys[part] = frozenset(_keys(self.wordings.get(part, ())))
        return self._keys[part]

    @cached_property
    def _keys(self) -> dict[Part, frozenset[Key]]:
        return {}

    @cached_property
    def _owners(self) -> dict[Key, tuple[Part, ...]]:
        owners: dict[Key, tuple[Part, ...]] = {}
        for part in self.wordings:
            for one in self._keys_of(part):
                owners[one] = (*owners.get(one, ()), part)
        return owners

    def lines(self) -> str:
        """As text: format and digest, then a purpose or a sentence a line; the same for the same language."""
        body = self._body()
        return f"{FORMAT} sha256:{_digest(body)}\n{body}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that is approved, in hexadecimal."""
        return _digest(self._body())

    def _body(self) -> str:
        named = (("item", self.items), ("purpose", self.purposes))
        rows = [f"{kind}\t{name}\t\t\t{words}" for kind, one in named for name, words in sorted(one.items())]
        rows += sorted(
            f"{part.kind}\t{part.code}\t{part.side}\t{part.strength}\t{sentence}"
            for part, said in self.wordings.items()
            for sentence in said
        )
        return "".join(f"{row}\n" for row in rows)

    @classmethod
    def from_lines(cls, text: str, where: str = "the approved language") -> "Language":
        """Read :meth:`lines` back.

        Raises:
            RefusedError: If anything in it is not as it was written.
        """
        head, _, body = text.partition("\n")
        if head != f"{FORMAT} sha256:{_digest(body)}":
            raise RefusedError(
                f"{where} is not as it was written; restore the file, or write it from the product again."
            )
        found = cls(*_read(body, where))
        if found._body() != body:  # one line a fact, sorted: there is no other form
            raise RefusedError(f"{where} is no approved language: its lines are not in order.")
        return found

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_atomically(path, self.lines().encode())

    @classmethod
    def read(cls, path: Path) -> "Language | None":
        """Read a file back; None, "nothing is approved", where there is none.

        Raises:
            RefusedError: If a byte of it has changed.
            DiskError: If it is there and cannot be read.
        """
        with disk_errors(path):
            try:
                text = path.read_bytes().decode()
            except FileNotFoundError:
                return None
            except UnicodeDecodeError as error:
                raise RefusedError(f"{path} is not as it was written: {error.reason}.") from error
        return cls.from_lines(text, str(path))


@cache
def _named(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(words)}(?!\w)", re.IGNORECASE)


def _keys(said: Iterable[str]) -> Iterator[Key]:
    for sentence in said:
        yield key(sentence)
        if PURPOSE in sentence:
            yield key(sentence.replace(PURPOSE, ""))


def _read(body: str, where: str) -> tuple[dict[Part, frozenset[str]], dict[str, str], dict[str, str]]:
    named: dict[str, dict[str, str]] = {"purpose": {}, "item": {}}
    found: dict[Part, set[str]] = {}
    for row in body.split("\n")[:-1]:
        cells = row.split("\t")
        if len(cells) != len(("kind", "code", "side", "strength", "sentence")):
            raise RefusedError(f"{where} has a line that is none of it: {row[:60]!r}.")
        kind, code, side, strength, sentence = cells
        if kind in named:
            named[kind][code] = sentence
        elif kind in get_args(Kind):
            found.setdefault(Part(kind, code, side, strength), set()).add(sentence)  # type: ignore[arg-type]  # compared with what is opened
        else:
            raise RefusedError(f"{where} names a part that there is not: {kind!r}.")
    return {part: frozenset(said) for part, said in found.items()}, named["purpose"], named["item"]


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
