"""Every wording of the grammar and the template, by the part that it is for."""

import itertools
from collections.abc import Iterator
from functools import cache
from typing import get_args

from lendsafe import template
from lendsafe.corpus.wordings import Choice, Pattern, patterns, purposes
from lendsafe.eval.truth.language import MISSING, Language
from lendsafe.parts import Part
from lendsafe.reasons import catalogue
from lendsafe.records import Decision, Register, Strength

NUMBERS = (("one", False), ("several", True))
SIDES = ("adverse", "against", "favorable")


def expansions(pattern: Pattern, *, several: bool) -> Iterator[str]:
    """Every wording of a pattern."""
    options = [[part] if isinstance(part, str) else list(_choice(part, several=several)) for part in pattern]
    return map("".join, itertools.product(*options))


def _choice(choice: Choice, *, several: bool) -> Iterator[str]:
    chosen = [choice.options[several]] if choice.by_count else choice.options
    for option in chosen:
        yield from expansions(option, several=several)


def said(path: str, *, several: bool = False) -> list[str]:
    """Every wording of a place of the grammar, in any register and of both tables."""
    found = {
        text
        for table in ("train", "held_out")
        for register in get_args(Register)
        for pattern in patterns(table, path, register)
        for text in expansions(pattern, several=several)
    }
    return sorted(text for text in found if text)


def of_grammar() -> Iterator[tuple[Part, str]]:
    for decision in ("approved", "declined"):
        yield from around(decision)
    for number, several in NUMBERS:
        for text in said("turn", several=several):
            yield Part("turn", "against", "", number), text
    for place in ("middle", "last"):
        for text in said(f"link.{place}"):
            yield Part("turn", place), text
    for code, side, strength in itertools.product(catalogue(), SIDES, get_args(Strength)):
        yield from of_factor(Part("factor", code, side, strength))


def around(decision: str) -> Iterator[tuple[Part, str]]:
    for text in said(f"opening.{decision}"):
        yield Part("decision", decision), text
    for (number, several), place in itertools.product(NUMBERS, ("lead", "context", "closing")):
        for text in said(f"{place}.{decision}", several=several):
            yield Part("end" if place == "closing" else "decision", decision, "", number), text


def of_factor(part: Part) -> Iterator[tuple[Part, str]]:
    place = f"factor.{part.code}.{'favorable' if part.side == 'favorable' else 'adverse'}"
    weights = said(f"weight.{part.side}.{part.strength}")
    for weight, name in itertools.product(weights, said(f"{place}.name")):
        yield part, weight.replace("{factor}", name)
    for text in (*said(f"{place}.fact"), *said(f"{place}.why")):
        yield part, text


def of_template() -> Iterator[tuple[Part, str]]:
    for decision in get_args(Decision):
        for text in template._OPENINGS[decision].values():
            yield Part("decision", decision), text
        for text in template._REVIEW.values():
            yield Part("decision", decision), text
        for (number, _), text in zip(NUMBERS, template._LEADS.get(decision, ()), strict=False):
            yield Part("decision", decision, "", number), text
        for closings in template._CLOSINGS.values():
            for text in closings:
                yield Part("end", decision), text
    yield Part("decision", "incomplete"), f"We still need these details from you: {MISSING}."
    yield Part("decision", "incomplete"), "We will look at the request once we have them."
    for (number, _), text in zip(NUMBERS, template._TURN, strict=True):
        yield Part("turn", "against", "", number), text
    for code, side, strength in itertools.product(catalogue(), SIDES, get_args(Strength)):
        adverse, favorable, fact = template._FACTORS[code]
        part = Part("factor", code, side, strength)
        yield part, f"{template._WEIGHTS[side][strength]} is {favorable if side == 'favorable' else adverse}."
        if fact:
            yield part, fact


@cache
def pairs() -> tuple[tuple[Part, str], ...]:
    return (*of_grammar(), *of_template())


@cache
def language() -> Language:
    return Language.from_wordings(pairs(), purposes(), template._ITEMS)
