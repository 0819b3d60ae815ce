"""Every figure of a text with its role: 612 is the *score*, 43 percent the *debt-to-income ratio*.

Digits and words, ``$25k``, percentages, durations, ranges and comparisons are read; slots count
as figures whose role is their name.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lendsafe import slots
from lendsafe.eval.truth.words import Unit, remembered, words


@dataclass(frozen=True, slots=True)
class Quantity:
    """A figure as it stands in a text.

    Attributes:
        start: Offset in the text.
        end: Offset after it, with its unit.
        value: In dollars, percent, months or plain units.
        high: Upper end of a range, else equal to ``value``.
        unit: What kind of figure it is.
        precision: Size of one unit of its last digit.
        slot: Name of the slot, if it is one.
    """

    start: int
    end: int
    value: float
    high: float
    unit: Unit
    precision: float
    slot: str = ""


_PURPOSE = re.compile(
    r"debt[ -]consolidation|consolidat\w+ (?:\w+ ){0,3}?(?:debts?|balances|loans?|cards?|bills|accounts?)|pay(?:ing)? off (?:\w+ ){0,2}?(?:debts?|cards?|balances)"
)

# "to consolidate {loan_amount} of debt": the figure stands, the noun is the purpose's
_OF_PURPOSE = re.compile(
    r"(consolidat\w+ (?:\w+ )?(?:\{\w+\}|\$?[\d,.]+k?)) (?:of|in) (?:\w+ )?(?:debts?|balances|loans?|bills)"
)

_ONES = {word: value for value, word in enumerate(
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"])} | {"dozen": 12}  # fmt: skip
_TENS = {
    word: 10 * value
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2
    )
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_NUMBER_WORD = "|".join([*_TENS, *sorted(_ONES, key=len, reverse=True), *_SCALES])
_WORDS = rf"\b(?:a (?:dozen|hundred|thousand|million)|{_NUMBER_WORD})\b(?:(?:[\s-]+|(?<=hundred)\s+and\s+|(?<=thousand)\s+and\s+)(?:{_NUMBER_WORD})\b)*(?: point (?:(?:{_NUMBER_WORD})\s?)+)?"
_NUMBER = re.compile(
    rf"(?P<sign>\$\s?|usd\s)?(?:(?<![\w.])(?P<digits>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d*\.?\d+)|(?P<words>{_WORDS}))"
    r"(?P<scale>\s?k\b|\s(?:thousand|million)\b)?"
    r"(?P<unit>\s?%|[\s-]?(?:percent(?:age points?)?|per[\s-]cent)\b|\s(?:dollars|bucks|usd|cents)\b|(?:\sor\smore)?[\s-](?P<time>years?|yrs?|months?|mos?|weeks?|days?)\b)?"
)
_HINT = re.compile(rf"[\d{{]|\b(?:{_NUMBER_WORD})\b")  # a sentence without it holds no figure
_LEAD = (
    r"(?:\s|in question|concerned|itself|here|ratio|level|rate|figure|number|total|now|currently|presently|of|is|was|are|were|at|stands?|stood|sits?|reached|equals?|came|comes|"
    r"to|only|just|about|around|roughly|nearly|almost|approximately|some|over|under|above|below|more than|less than|at least|"
    r"a|an|the|this|that|your|recent|new|in|on|for|file|[:(=])*"
)
_CONNECT = re.compile(rf"^{_LEAD}$")
_FOLLOW = re.compile(
    r"^(?:\s|-|of|in|on|monthly|yearly|annual|gross|available|recent|credit|new|open|such|more|or|a|an|the|your|this|that|total|as|for|[)%])*$"
)
_RANGE = re.compile(r"\s*(?:-|\u2013|to|and)\s*$")
_CLAUSE_END = re.compile(r"[;:\u2014]|,(?!\d)|\b(?:but|while|and|which|although|though|because|so)\b")
_PRONOUN = re.compile(
    r"one(?! (?:late|missed|inquiry|credit|collection|judge?ment|bankruptcy|new|open|account|recent|hard|reason|factor|strength))"
)


@dataclass(frozen=True, slots=True)
class Read:
    """A lower-case sentence, its figures and slots in order, and the words that name a fact."""

    sentence: str
    figures: tuple[Quantity, ...]
    roles: tuple[re.Match[str], ...]


_NOTHING = Read("", (), ())


@remembered(1 << 14)
def read(sentence: str) -> Read:
    """Figures and slots of a lower-case sentence; parts of one duration or range are joined."""
    if not _HINT.search(sentence):
        return _NOTHING
    sentence = _PURPOSE.sub(lambda match: " " * len(match[0]), sentence)
    sentence = _OF_PURPOSE.sub(lambda match: match[1] + " " * (len(match[0]) - len(match[1])), sentence)
    plain = slots.SLOT.sub(lambda match: "{" + "q" * len(match[1]) + "}", sentence)
    found = [one for match in _NUMBER.finditer(plain) if (one := _quantity(match, plain))]
    found += [
        Quantity(match.start(), match.end(), 0.0, 0.0, _slot_unit(match[1]), 0.0, match[1])
        for match in slots.SLOT.finditer(sentence)
    ]
    if not found:
        return _NOTHING
    joined = _joined(sorted(found, key=lambda one: one.start), plain)
    return Read(sentence, tuple(joined), tuple(words().roles.finditer(plain)))


def _quantity(match: re.Match[str], plain: str) -> Quantity | None:
    text = match["digits"] or match["words"]
    alone = text == "one" and not match["unit"] and not match["sign"]
    if match["words"] and alone and _PRONOUN.match(plain, match.start()):
        return None
    if match["digits"] and plain[match.end() : match.end() + 1].isalpha():
        return None  # an ordinal such as 1st
    value = float(text.replace(",", "")) if match["digits"] else _spoken(text)
    if text == "one" and plain[: match.start()].endswith("not "):
        value = 0.0  # "not one late payment"
    decimals = len(text.partition(".")[2]) if match["digits"] else 0
    scale = {"k": 1000, "thousand": 1000, "million": 1_000_000}.get((match["scale"] or "").strip(), 1)
    unit, factor = _unit(match, scale)
    return Quantity(
        match.start(),
        match.end(),
        value * scale * factor,
        value * scale * factor,
        unit,
        10.0**-decimals * scale * factor,
    )


def _unit(match: re.Match[str], scale: int) -> tuple[Unit, float]:
    unit, time = (match["unit"] or "").strip(" -"), match["time"]
    if time:
        if time.startswith(("day", "week")):
            return "days", 7.0 if time.startswith("week") else 1.0
        return "months", 12.0 if time.startswith("y") else 1.0
    if match["sign"] or unit in ("dollars", "bucks", "usd") or scale > 1:
        return "money", 1.0
    return ("percent", 1.0) if unit else ("bare", 1.0)  # cents of each dollar are a percentage


def _spoken(text: str) -> float:
    whole, _, fraction = text.partition(" point ")
    total = current = 0
    for word in re.split(r"[\s-]+", whole):
        if word in _SCALES and word != "hundred":
            total, current = total + max(current, 1) * _SCALES[word], 0
        elif word == "dozen":
            current = max(current, 1) * 12
        elif word == "hundred":
            current = max(current, 1) * 100
        elif word in _TENS or word in _ONES:
            tail = _TENS.get(word, _ONES.get(word, 0))
            # "six twelve" and "seven forty" are how people say three-digit scores
            current = current * 100 + tail if 0 < current < 10 and tail >= 10 else current + tail
    decimals = "".join(str(_ONES.get(word, 0)) for word in fraction.split())
    return float(total + current) + (float(f"0.{decimals}") if decimals else 0.0)


def _slot_unit(name: str) -> Unit:
    return words().facts[name].unit if name in words().facts else "bare"


def _joined(found: list[Quantity], plain: str) -> list[Quantity]:
    """Join "3 years and 4 months" and "640 to 660"."""
    result: list[Quantity] = []
    for one in found:
        last = result[-1] if result else None
        between = plain[last.end : one.start] if last else ""
        if last and not last.slot and not one.slot:
            if (
                last.unit == one.unit == "months"
                and last.precision == 12
                and one.precision == 1
                and re.fullmatch(r"\s*(?:,|and|, and)?\s*", between)
            ):
                result[-1] = Quantity(
                    last.start, one.end, last.value + one.value, last.value + one.value, "months", 1.0
                )
                continue
            if (
                _RANGE.fullmatch(between)
                and last.unit in (one.unit, "bare")
                and last.value < one.value
                and _is_range(last, between, plain)
            ):
                scale = one.precision if last.unit == "bare" and one.unit == "months" else 1.0
                low = last.value * scale  # "between five and six years"
                result[-1] = Quantity(last.start, one.end, low, one.value, one.unit, one.precision)
                continue
        result.append(one)
    return result


def _is_range(first: Quantity, between: str, plain: str) -> bool:
    if between.strip() == "and":
        return bool(re.search(r"\bbetween\s+\$?$", plain[: first.start]))
    return (
        between.strip() != "to"
        or bool(
            re.search(r"\b(?:from|range\w*|scale|of|between|runs|goes)\b[^.]{0,12}$", plain[: first.start])
        )
        or not re.search(r"\bdebt$", plain[: first.start])
    )


def role_of(one: Quantity, known: Read) -> tuple[str, bool]:
    """The fact that the words around a figure name, and whether they touch it."""
    role, touching = _nearest_role(one, known.sentence, known.roles)
    entry = words().facts.get(role)
    return (entry.instead.get(one.unit, role) if entry else role), touching


def _nearest_role(one: Quantity, sentence: str, roles: Sequence[re.Match[str]]) -> tuple[str, bool]:
    before = [match for match in roles if match.end() <= one.start]
    after = [match for match in roles if match.start() >= one.end]
    overlapping = [match for match in roles if match.start() < one.end < match.end()]
    right = next(iter(overlapping or after), None)
    touching_right = right is not None and _FOLLOW.match(sentence[one.end : max(one.end, right.start())])
    touching_left = before and _CONNECT.match(sentence[before[-1].end() : one.start])
    shares = one.unit == "percent" and sentence.startswith(" of", one.end)  # "owe 12% of the limits"
    if right is not None and touching_right and (one.unit == "bare" or shares or not touching_left):
        return right.lastgroup or "", True
    if touching_left:
        return before[-1].lastgroup or "", True
    candidates = [match for match in roles if match.lastgroup in words().units[one.unit]]
    if not candidates:
        return "", False
    return min(candidates, key=lambda match: _distance(one, match, sentence)).lastgroup or "", False


def _distance(one: Quantity, match: re.Match[str], sentence: str) -> float:
    left = match.end() <= one.start
    between = sentence[match.end() : one.start] if left else sentence[one.end : match.start()]
    return len(between) + 200 * len(_CLAUSE_END.findall(between))
