"""What a product's own words approve: every wording of the grammar and the standard text, by the part it is for."""

import itertools
from collections.abc import Iterator, Mapping
from functools import cache
from typing import get_args

from lendsafe import parts, template
from lendsafe.corpus.wordings import own_words, patterns
from lendsafe.eval.truth.language import PURPOSE, Language
from lendsafe.parts import Part
from lendsafe.product import Product
from lendsafe.product.patterns import every
from lendsafe.records import Register, Strength

NUMBERS = (("one", False), ("several", True))
SIDES: tuple[parts.Side, ...] = ("adverse", "against", "favorable")
TABLES = ("train", "held_out")


@cache
def language(product: Product) -> Language:
    """The approved language of a product before a person has approved anything."""
    return Language.from_wordings(wordings(product), purposes(product), items(product))


def wordings(product: Product) -> Iterator[tuple[Part, str]]:
    """Every wording with its part; ``<purpose>`` and ``<missing>`` stand for the assessment's own."""
    for decision in ("approved", "declined"):
        yield from _around(product, decision)
    for number, several in NUMBERS:
        for text in _frames("turn", several=several):
            yield Part("turn", "against", "", number), text
    for place in ("middle", "last"):
        for text in _frames(f"link.{place}"):
            yield Part("turn", place), text
    for code, side, strength in itertools.product(product.reasons, SIDES, get_args(Strength)):
        yield from _of_factor(product, Part("factor", code, side, strength))
    yield from template.wordings(product)


def purposes(product: Product) -> Mapping[str, str]:
    """How each purpose is named after the amount."""
    name = product.request.purpose
    words = dict(product.request.purposes)
    if name in product.fields:
        for level, said in product.fields[name].words.items():
            words.setdefault(level, f"for {said}")
    return words


def items(product: Product) -> Mapping[str, str]:
    """How each item that an application may lack is named in a sentence."""
    return {name: _lower(one.ask or one.called) for name, one in product.fields.items()}


def _around(product: Product, decision: str) -> Iterator[tuple[Part, str]]:
    amounts = [f"{{{product.request.amount}}}", "credit"] if product.request.amount else ["credit"]
    for text, amount in itertools.product(_frames(f"opening.{decision}"), amounts):
        said = text.replace("{amount}", amount)
        yield Part("decision", decision), said.replace("<purpose>", "")
        yield Part("decision", decision), said.replace("<purpose>", f" {PURPOSE}")
    for (number, several), place in itertools.product(NUMBERS, ("lead", "context", "closing")):
        for text in _frames(f"{place}.{decision}", several=several):
            yield Part("end" if place == "closing" else "decision", decision, "", number), text


def _of_factor(product: Product, part: Part) -> Iterator[tuple[Part, str]]:
    side = "in_favor" if part.side == "favorable" else "against"
    weights = _frames(f"weight.{part.side}.{part.strength}")
    for weight, noun in itertools.product(weights, _own(product, part.code, side)):
        yield part, weight.replace("{factor}", noun)
    for text in (*_own(product, part.code, f"fact_{side}"), *_own(product, part.code, f"why_{side}")):
        yield part, text


@cache
def _frames(path: str, *, several: bool = False) -> tuple[str, ...]:
    """Every wording of a frame, in any register and of both tables."""
    found = {
        text
        for table, register in itertools.product(TABLES, get_args(Register))
        for pattern in patterns(table, path, register)  # type: ignore[arg-type]  # a literal of both
        for text in every(pattern, several=several)
    }
    return tuple(sorted(text for text in found if text))


def _own(product: Product, code: str, place: str) -> list[str]:
    found = {
        text
        for table, register in itertools.product(TABLES, get_args(Register))
        for pattern in own_words(product, table, code, place, register)  # type: ignore[arg-type]
        for text in every(pattern)
    }
    return sorted(text for text in found if text)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
