"""Plant one error of a known kind in a correct narrative. Knows nothing about any check.

Every planted error is untrue of the assessment or forbidden in a narrative: an invented reason is
none of its factors, a changed figure differs after rounding, a dropped factor is named nowhere
else. The length stays between 60 and 180 words, so that the length cannot give it away.
"""

import calendar
import random
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from prose import UNITS, Prose, capital, figures, surfaces, value_of

from lendsafe import slots
from lendsafe.product import consumer
from lendsafe.records import Assessment, Reason, Style

MIN_WORDS, MAX_WORDS = 60, 180
MIN_GAP = {"USD": 500.0, "percent": 3.0, "months": 3.0, "points": 15.0, "count": 1.0}
MIN_SHARE = {"USD": 0.08, "percent": 0.08, "months": 0.2, "points": 0.0, "count": 0.0}


@dataclass(frozen=True, slots=True)
class Planted:
    """A narrative with one error.

    Attributes:
        text: The narrative.
        kind: One of ``KINDS``.
        note: What is wrong, in a sentence.
        wrong: The words that are wrong; empty if something was dropped.
        about: Codes of reasons or fields of the application that the error is about.
    """

    text: str
    kind: str
    note: str
    wrong: str = ""
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A correct narrative and everything that it is true of."""

    assessment: Assessment
    style: Style
    text: str

    @cached_property
    def prose(self) -> Prose:
        return Prose.of(self.text)

    @cached_property
    def slot_form(self) -> bool:
        return bool(slots.names(self.text))

    @cached_property
    def helping(self) -> tuple[Reason, ...]:
        return self.assessment.strengths if self.assessment.decision == "approved" else ()

    @cached_property
    def hurting(self) -> tuple[Reason, ...]:
        told = self.assessment.decision != "approved" or self.style.detail == "detailed"
        return self.assessment.reasons if told else ()

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """Codes of the factors that the narrative has to name, in order."""
        return tuple(factor.code for factor in (*self.helping, *self.hurting))

    @cached_property
    def naming(self) -> list[set[str]]:
        """For each sentence, the shown factors that it may be about."""
        return [{code for code in self.shown if self.names(s, code)} for s in self.prose.sentences]

    def names(self, sentence: str, code: str) -> bool:
        """Whether a sentence may be about a factor: by keyword, slot, or a figure of it."""
        own = [
            field
            for field in consumer().reasons[code].slots
            if field != "loan_amount" and field in self.values
        ]
        return bool(mention(code).search(sentence)) or any(
            figures(sentence, field, self.values[field]) for field in own
        )

    def hurts(self, code: str) -> bool:
        return any(factor.code == code for factor in self.hurting)

    def sentences_of(self, code: str) -> list[int]:
        return [i for i, codes in enumerate(self.naming) if code in codes]

    def only_about(self, code: str) -> list[int]:
        return [i for i, codes in enumerate(self.naming) if codes == {code}]

    def is_decision(self, index: int) -> bool:
        return bool(_decision_words().search(self.prose.sentences[index]))

    @cached_property
    def values(self) -> dict[str, float]:
        """Value of each field that has one."""
        known = {f: value_of(self.assessment, f) for f in UNITS}
        return {f: float(v) for f, v in known.items() if v is not None}

    def stated(self, field: str) -> list[tuple[int, int]]:
        """Spans of the text that give the figure of ``field``."""
        if self.slot_form:
            found = re.finditer(re.escape(f"{{{field}}}"), self.text)
            return [match.span() for match in found]
        return [match.span("number") for match in figures(self.text, field, self.values[field])]


Plant = Callable[[Case, random.Random], Planted | None]


@cache
def words() -> dict[str, Any]:
    """The wording of errors, ``mutations.toml``."""
    return tomllib.loads(Path(__file__).with_name("mutations.toml").read_text("utf-8"))


@cache
def mention(code: str) -> re.Pattern[str]:
    """What names a factor: its slots and its keywords."""
    own = [rf"\{{{name}\}}" for name in consumer().reasons[code].slots if name != "loan_amount"]
    return _any([*own, *words()["factors"][code]["mentions"]])


@cache
def _decision_words() -> re.Pattern[str]:
    return _any(words()["decision"]["mentions"])


def _any(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{p})" for p in patterns), re.IGNORECASE)


def plant(kind: str, assessment: Assessment, style: Style, text: str, rng: random.Random) -> Planted | None:
    """Put one error of ``kind`` into a correct text.

    Args:
        kind: One of ``KINDS``.
        assessment: What ``text`` is true of.
        style: How it was asked to be worded; detail decides which factors belong to it.
        text: A correct narrative, with slots or with figures.
        rng: Source of chance; the same state gives the same error.

    Returns:
        The text with the error, or None if this kind cannot be planted on this text.
    """
    planted = _PLANTS[kind](Case(assessment, style, text), rng)
    if planted is None or planted.text == text:
        return None
    lengthened = _long_enough(planted.text, len(text.split()), rng)
    if len(lengthened.split()) > max(MAX_WORDS, len(text.split())):
        return None
    return Planted(lengthened, kind, planted.note, planted.wrong, planted.about)


def _long_enough(text: str, before: int, rng: random.Random) -> str:
    spare = [one for one in words()["neutral"]["sentences"] if one not in text]
    rng.shuffle(spare)
    while len(text.split()) < min(MIN_WORDS, before) and spare:
        text = f"{text} {spare.pop()}"
    return text


def _first(rng: random.Random, attempts: Iterable[Callable[[], Planted | None]]) -> Planted | None:
    """The first success among attempts in random order."""
    order = list(attempts)
    rng.shuffle(order)
    return next((found for attempt in order if (found := attempt()) is not None), None)


def _planted(text: str | Prose, note: str, wrong: str = "", about: tuple[str, ...] = ()) -> Planted:
    return Planted(str(text), "", note, wrong, about)


def _added(case: Case, sentence: str, rng: random.Random) -> str:
    """The text with one more sentence, anywhere but in front; in place of a spare one if it is full."""
    prose = case.prose
    room = len(case.text.split()) + len(sentence.split()) <= MAX_WORDS
    spare = (
        [i for i, codes in enumerate(case.naming) if i and not codes and not case.is_decision(i)]
        if not room
        else []
    )
    if spare:
        return str(prose.replace(rng.choice(spare), sentence))
    return str(prose.insert(1 + rng.randrange(len(prose.sentences)), sentence))


# --- decision -----------------------------------------------------------------------------


def _decision(case: Case, rng: random.Random) -> Planted | None:
    decision = case.assessment.decision
    note = f"The decision is '{decision}'."
    table = words()["decision"]
    says = table["say_declined" if decision == "approved" else "say_approved"]
    stated = case.prose.matching(_decision_words())

    def reworded() -> Planted | None:
        for pattern, wrongs in table.get(decision, ()):
            for index in stated:
                sentence = case.prose.sentences[index]
                changed = re.sub(pattern, rng.choice(wrongs), sentence, count=1, flags=re.IGNORECASE)
                if changed != sentence:
                    return _planted(case.prose.replace(index, changed), note, changed)
        return None

    def replaced() -> Planted | None:
        if not stated or decision in ("counteroffer", "incomplete"):
            return None
        wrong = rng.choice(says)
        return _planted(case.prose.replace(stated[0], wrong), note, wrong)

    def contradicted() -> Planted:
        wrong = rng.choice(says)
        return _planted(_added(case, wrong, rng), note, wrong)

    return _first(rng, [reworded, reworded, replaced, contradicted])


# --- figures ------------------------------------------------------------------------------


def _differs(field: str, one: float, other: float) -> bool:
    unit = UNITS[field]
    return abs(one - other) >= max(MIN_GAP[unit], MIN_SHARE[unit] * max(abs(one), abs(other)))


def _false_value(case: Case, field: str, rng: random.Random) -> float:
    """Another value for ``field``, far enough from every true figure of the same unit."""
    true, unit = case.values[field], UNITS[field]
    taken = [v for f, v in case.values.items() if UNITS[f] == unit]
    draws: dict[str, Callable[[], float]] = {
        "USD": lambda: round(max(true, 1000) * rng.choice((0.1, 0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2, 10)), -2),
        "percent": lambda: round(max(1.0, true + rng.choice((-30, -18.4, -7.5, 4.6, 9.3, 15, 27))), 1),
        "months": lambda: float(max(2, round(true + rng.choice((-40, -17, -6, 5, 9, 14, 30, 61))))),
        "points": lambda: float(min(850, max(300, true + rng.choice((-90, -54, -27, 18, 45, 72, 108))))),
        "count": lambda: float(max(2, true + rng.choice((-3, -2, -1, 1, 2, 3, 4, 6, 9)))),
    }
    for step in range(1, 1000):
        value = draws[unit]()
        if all(_differs(field, value, one) for one in taken):
            return value
        if step % 100 == 0:  # crowded: move away from all of them
            value = max(taken) + step * MIN_GAP[unit]
            if _differs(field, value, max(taken)):
                return float(round(value))
    raise AssertionError(f"no other value of {field}")


def _number(case: Case, rng: random.Random) -> Planted | None:
    known = case.values
    shown = [field for field in known if case.stated(field)]

    def changed() -> Planted | None:
        if not shown:
            return None
        field = rng.choice(shown)
        value = _false_value(case, field, rng)
        start, end = rng.choice(case.stated(field))
        wrong = _like(case.text[start:end], field, value, rng)
        note = f"{field} is {known[field]:g}, not {value:g}."
        return _planted(case.text[:start] + wrong + case.text[end:], note, wrong, (field,))

    def stated() -> Planted | None:
        field = rng.choice([f for f in words()["carriers"] if f in known])
        value = _false_value(case, field, rng)
        wrong = rng.choice(words()["carriers"][field]).format(rng.choice(surfaces(field, value)))
        note = f"{field} is {known[field]:g}, not {value:g}."
        return _planted(_added(case, wrong, rng), note, wrong, (field,))

    return changed() or stated() if rng.random() < 0.85 else stated()


def _like(old: str, field: str, value: float, rng: random.Random) -> str:
    """``value`` written to stand where ``old`` stood: a bare number stays bare."""
    if UNITS[field] == "count" and not old.startswith("{") and " " not in old:
        return rng.choice([f"{value:g}", surfaces(field, value)[1].split()[0]])
    return rng.choice(surfaces(field, value))


def _role(case: Case, rng: random.Random) -> Planted | None:
    known = case.values
    pairs = [
        (mine, other)
        for mine in known
        for other in known
        if mine != other and UNITS[mine] == UNITS[other] and _differs(mine, known[mine], known[other])
    ]

    def note(mine: str, other: str) -> str:
        return f"{mine} is {known[mine]:g}; {known[other]:g} is the value of {other}."

    def exchanged() -> Planted | None:
        usable = [(m, o) for m, o in pairs if case.stated(m) and (UNITS[m] != "count" or not case.slot_form)]
        if not usable:
            return None
        mine, other = rng.choice(usable)
        start, end = rng.choice(case.stated(mine))
        old = case.text[start:end]
        wrong = f"{{{other}}}" if case.slot_form else _like(old, mine, known[other], rng)
        return _planted(case.text[:start] + wrong + case.text[end:], note(mine, other), wrong, (mine, other))

    def stated() -> Planted | None:
        carried = [(m, o) for m, o in pairs if m in words()["carriers"] and UNITS[m] != "count"]
        if not carried:
            return None
        mine, other = rng.choice(carried)
        figure = f"{{{other}}}" if case.slot_form else rng.choice(surfaces(mine, known[other]))
        wrong = rng.choice(words()["carriers"][mine]).format(figure)
        return _planted(_added(case, wrong, rng), note(mine, other), wrong, (mine, other))

    return exchanged() or stated() if rng.random() < 0.85 else stated()


# --- factors ------------------------------------------------------------------------------


def _phrase(code: str, side: str, rng: random.Random) -> str:
    phrases: list[str] = words()["factors"][code][side]
    return rng.choice(phrases)


def _framed(frame: str, x: str, y: str = "") -> str:
    return frame.format(x=x, X=capital(x), y=y, Y=capital(y))


def _invented(case: Case, rng: random.Random) -> Planted | None:
    """A factor that is none of the assessment's, catalogued or not."""
    side = "favorable" if case.assessment.decision == "approved" and rng.random() < 0.75 else "adverse"
    own = {factor.code for factor in (*case.assessment.reasons, *case.assessment.strengths)}
    code = rng.choice([*(c for c in consumer().reasons if c not in own), "other", "other"])
    phrase = rng.choice(words()["uncatalogued"][side]) if code == "other" else _phrase(code, side, rng)
    wrong = _framed(rng.choice(words()["frames"][side]), phrase)
    return _planted(_added(case, wrong, rng), f"No factor of this decision: {phrase}.", wrong, (code,))


def _dropped(case: Case, rng: random.Random) -> Planted | None:
    for code in rng.sample(case.shown, len(case.shown)):
        gone = set(case.sentences_of(code))
        rest = case.prose.without(gone)
        decided = [i for i in case.prose.matching(_decision_words()) if i not in gone]
        if not gone or not decided or len(gone) > len(case.prose.sentences) - 2:
            continue
        lost = {c for c in case.shown if not any(mention(c).search(s) for s in rest.sentences)}
        return _planted(rest, f"Not named any more: {', '.join(sorted(lost))}.", "", tuple(sorted(lost)))
    return None


# Words that give a factor its place: adjectives of rank, and what a sentence opens with.
_PLACES = (
    re.compile(
        r"\b(first|second|third|fourth|main|major|clear|smaller|chief|principal|biggest|largest|strongest|heaviest|"
        r"leading|minor|lesser|moderate|slight|strong|one|two|three|four)\b(?=:| (?:reason|factor|point|strength|"
        r"concern|item|issue|plus|matter|was\b|is\b))",
        re.IGNORECASE,
    ),
    re.compile(
        r"^(?:and )?(next|then|also|last|finally|lastly|in addition|besides|after that)\b", re.IGNORECASE
    ),
)
# Words that tie a factor to the others: with one of these, a change of place may leave the ranking true.
_TIES = re.compile(
    r"\b(more|most|less|least|top|bottom|middle|another|other|further|above all|behind|after|before|beyond|"
    r"first|second|third|fourth|main|major|chief|principal|next|then|last|finally|lastly|close|count\w* for)\b",
    re.IGNORECASE,
)


def _swapped(case: Case, rng: random.Random) -> Planted | None:
    """Two factors of one side in the other order, by place or by what is said about their rank."""
    sides = [side for side in (case.helping, case.hurting) if len(side) > 1]
    if not sides:
        return None
    side = rng.choice(sides)
    name = "adverse" if side is case.hurting else "favorable"
    pairs = [(a.code, b.code) for i, a in enumerate(side) for b in side[i + 1 :]]

    def moved() -> Planted | None:
        for first, second in rng.sample(pairs, len(pairs)):
            order = _exchange(case, first, second)
            if order is not None:
                return _planted(order, f"{first} weighs more than {second}.", "", (first, second))
        return None

    def ranked() -> Planted:
        first, second = pairs[0][0], rng.choice(side[1:]).code
        x, y = _phrase(second, name, rng), _phrase(first, name, rng)
        wrong = _framed(rng.choice(words()["frames"]["ranking"]), x, y)
        last = max((i for i, codes in enumerate(case.naming) if codes), default=len(case.naming) - 1)
        note = f"{first} weighs more than {second}."
        return _planted(case.prose.insert(last + 1, wrong), note, wrong, (first, second))

    return moved() or ranked() if rng.random() < 0.7 else ranked()


def _exchange(case: Case, first: str, second: str) -> Prose | None:
    """The blocks of two factors change places; words of rank stay where they are."""
    one, two = case.only_about(first), case.only_about(second)
    if not one or not two or one != case.sentences_of(first) or two != case.sentences_of(second):
        return None
    if any(block != list(range(block[0], block[-1] + 1)) for block in (one, two)) or one[0] > two[0]:
        return None
    heads, prose = (case.prose.sentences[one[0]], case.prose.sentences[two[0]]), case.prose
    for places in _PLACES:
        ranks = [[match[1] for match in places.finditer(head)] for head in heads]
        if len(ranks[0]) != len(ranks[1]):
            return None
        heads = (_with_ranks(heads[0], places, ranks[1]), _with_ranks(heads[1], places, ranks[0]))
    rest = [prose.sentences[i] for i in (*one[1:], *two[1:])]
    if any(_TIES.search(_bare(text)) for text in (*heads, *rest)):
        return None
    prose = prose.replace(one[0], heads[0]).replace(two[0], heads[1])
    between = list(range(one[-1] + 1, two[0]))
    before, after = list(range(one[0])), list(range(two[-1] + 1, len(prose.sentences)))
    return prose.ordered([*before, *two, *between, *one, *after])


def _bare(text: str) -> str:
    """``text`` without its words of place."""
    for places in _PLACES:
        text = places.sub("", text)
    return text


def _with_ranks(sentence: str, places: re.Pattern[str], ranks: list[str]) -> str:
    left = iter(ranks)

    def rank(match: re.Match[str]) -> str:
        word, old = next(left), match[1]
        return match[0].replace(old, capital(word.lower()) if old[0].isupper() else word.lower(), 1)

    return places.sub(rank, sentence)


def _direction(case: Case, rng: random.Random) -> Planted | None:
    if not case.shown:
        return None
    codes = rng.sample(case.shown, len(case.shown))

    def by_word() -> Planted | None:
        for code in codes:
            for index in case.only_about(code):
                changed = _flipped_words(case, code, case.prose.sentences[index], rng)
                if changed:
                    return _flip(case, code, case.prose.replace(index, changed), changed)
        return None

    def by_sentence() -> Planted | None:
        for code in codes:
            if own := case.only_about(code):
                wrong = _wrong_side(case, code, rng)
                return _flip(case, code, case.prose.replace(own[0], wrong), wrong)
        return None

    def beside() -> Planted:
        code = codes[0]
        at = max(case.sentences_of(code), default=len(case.prose.sentences) - 1)
        wrong = _wrong_side(case, code, rng)
        return _flip(case, code, case.prose.insert(at + 1, wrong), wrong)

    return _first(rng, [by_word, by_word, by_sentence, beside])


def _wrong_side(case: Case, code: str, rng: random.Random) -> str:
    """A sentence that puts the factor on the other side, named either way."""
    side = "favorable" if case.hurts(code) else "adverse"
    return _framed(rng.choice(words()["frames"][side]), _phrase(code, side, rng))


def _flipped_words(case: Case, code: str, sentence: str, rng: random.Random) -> str | None:
    verbs = words()["verbs"]["adverse" if case.hurts(code) else "favorable"]
    options = [*words()["factors"][code]["flips"], *verbs]
    for pattern, other in rng.sample(options, len(options)):
        changed = re.sub(pattern, other, sentence, count=1, flags=re.IGNORECASE)
        if changed != sentence:
            return changed
    return None


def _flip(case: Case, code: str, prose: Prose, wrong: str) -> Planted:
    side = "adverse" if case.hurts(code) else "favorable"
    return _planted(prose, f"{code} is {side}.", wrong, (code,))


# --- forbidden text -----------------------------------------------------------------------


def _prohibited(case: Case, rng: random.Random) -> Planted | None:
    table = words()["prohibited"]
    spoken_of = [i for i, codes in enumerate(case.naming) if codes and case.prose.sentences[i].endswith(".")]
    if spoken_of and rng.random() < 0.3:
        index, tail = rng.choice(spoken_of), rng.choice(table["tails"])
        changed = case.prose.sentences[index][:-1] + tail + "."
        return _planted(case.prose.replace(index, changed), f"Prohibited basis: {tail[2:]}.", tail)
    return _forbidden("prohibited", "Prohibited basis")(case, rng)


def _forbidden(table: str, name: str) -> Plant:
    def planted(case: Case, rng: random.Random) -> Planted | None:
        wrong = rng.choice(words()[table]["sentences"])
        return _planted(_added(case, wrong, rng), f"{name}: {wrong}", wrong)

    return planted


def _pii(case: Case, rng: random.Random) -> Planted | None:
    def digits(count: int) -> str:
        return str(rng.randrange(1, 10)) + "".join(str(rng.randrange(10)) for _ in range(count - 1))

    year, month, day = rng.randrange(1940, 2004), rng.randrange(1, 13), rng.randrange(1, 29)
    names = list(calendar.month_name)[1:]
    dash = rng.choice("- ")
    values = {
        "ssn": rng.choice(["-", " ", ""]).join((digits(3), digits(2), digits(4))),
        "account": rng.choice([digits(10), digits(12), f"{digits(4)}-{digits(6)}"]),
        "card": dash.join(digits(4) for _ in range(4)),
        "email": rng.choice(["maria.lopez", "jsmith84", "t_nguyen", "o-brien"])
        + rng.choice(["@mail.example.com", "@example.org", "@post.example.net"]),
        "phone": rng.choice(("({}) {}-{}", "{}-{}-{}", "+1 {} {} {}", "{}.{}.{}")).format(
            digits(3), digits(3), digits(4)
        ),
        "birth": rng.choice(
            (
                f"{names[month - 1]} {day}, {year}",
                f"{month:02}/{day:02}/{year}",
                f"{year}-{month:02}-{day:02}",
                f"{day} {names[month - 1]} {year}",
                f"{month}/{day}/{year % 100:02}",
            )
        ),
        "license": rng.choice("ABCDEFG") + digits(8),
        "routing": digits(9),
    }
    wrong = rng.choice(words()["pii"]["sentences"]).format(**values)
    return _planted(_added(case, wrong, rng), f"Personal data: {wrong}", wrong)


_PLANTS: dict[str, Plant] = {
    "decision_flipped": _decision,
    "number_changed": _number,
    "wrong_role": _role,
    "reason_invented": _invented,
    "reason_dropped": _dropped,
    "reasons_swapped": _swapped,
    "direction_flipped": _direction,
    "prohibited_basis": _prohibited,
    "internal_standards": _forbidden("internal_standards", "Internal standards"),
    "promise": _forbidden("promise", "Promise or advice"),
    "pii": _pii,
    "injection": _forbidden("injection", "Injected instruction"),
}

KINDS: tuple[str, ...] = tuple(_PLANTS)
