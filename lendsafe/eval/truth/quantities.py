"""Claims about figures that stand in words: what a fact is not, was, counts, over which time, which share."""

import re
from collections.abc import Iterator

from lendsafe.eval.truth.known import Claim, Known, Reader
from lendsafe.eval.truth.sentence import Sentence
from lendsafe.eval.truth.words import value_of
from lendsafe.slots import SLOT

_NOT_THE_FACT = re.compile(r"\b(?:not|never|\w+n't)\b(?!\s+(?:only|just))(?:\s+[\w']+){1,6}?\s*$")
_PASSED_OVER = re.compile(r"\b(?:look|see|get|overlook|ignore|set|leave|forget|disregard)\b")


def _not_the_fact(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """A fact that is denied: "your report does not show {...}"."""
    for one in sentence.figures:
        fact = known.words.facts.get(one.slot)
        match = _NOT_THE_FACT.search(sentence.plain, max(0, one.start - _SCOPE), one.start)
        if fact and fact.factor in known.factors and match and not _PASSED_OVER.search(match[0]):
            yield Claim(
                "negation: the fact is so",
                match.start(),
                one.end,
                f"{one.slot} = {known.shown.get(one.slot)}",
            )


_SCOPE = 60  # characters before a fact in which a negation turns it
_TREND = re.compile(
    r"\b(?:rose|risen|grew|grown|increas\w+|decreas\w+|climb\w*|doubl\w+|tripl\w+|shr[ai]nk\w*|improv\w+|worsen\w*|fell to|fallen to|dropp\w+|went (?:up|down)|gone (?:up|down)|(?:up|down) from|used to (?:be|have|owe|take))\b"
    r"|\bthan (?:before|ever|last|they were|it was|you (?:did|were|had)|in the past|a year ago|previously|earlier)\b"
)


def _trend(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """What a fact was before."""
    match = _TREND.search(sentence.masked)
    if match and any(one.code in known.factors for one in sentence.mentions):
        yield Claim("time: no earlier value is known", match.start(), match.end(), known.held())


_NOUN_BEHIND = re.compile(
    r"\s+(?!(?:in|on|of|at|and|or|but|over|within|during|for|from|to|with|as|is|was|are|were|that|which|reported|listed|shown|recorded|there|this|these|so|because|since|while|when|we|you|old|ago|a|an|the|per|each|every|already|now|today|total|counted|against|by|alone|helped|gave|weighed|worked|has|have|had|may|can|could|also|still|then|appear\w*|came|count)\b)[a-z]+s\b"
)


def _noun_behind(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """A count that brings its noun, before the noun of something else: "3 late payments lenders"."""
    for one in sentence.figures:
        fact = known.words.facts.get(one.slot)
        match = _NOUN_BEHIND.match(sentence.plain, one.end)
        if fact and fact.unit == "bare" and not fact.bare and match:
            yield Claim(
                f"role: counts{match[0]}", one.start, match.end(), f"{one.slot} = {known.shown.get(one.slot)}"
            )


# ---------------------------------------------------------------- periods

_PERIOD = re.compile(
    r"\s*,?\s*(?:in|over|within|during|for|since|this|last|past|each|every|a|per)\b[^.,;{]{0,24}?\b(?P<unit>day|week|month|quarter|year|decade|life|lifetime|history|career)s?\b|\s*,?\s*(?:daily|weekly|monthly|quarterly)\b"
)
_YEARLY = re.compile(
    r"\b(?:a|per|each|every|the|in a|over the|this|last|past)? ?(?:year|annum)\b|\bannual\w*|\byearly\b"
)
_PAST = re.compile(
    r"\b(?:in|over|within|during|for|this|fell in)\b (?:just |only )?(?:the |this |your )?(?:past|last|previous|recent|whole|entire)?[^.,;{]{0,16}?\b(?P<unit>day|week|month|quarter|year|decade|life|lifetime)s?\b(?! (?:old|long))"
)
_LIFE = re.compile(r"\b(?:life|lifetime|history|career)\b")
_LASTING = {"day": 1 / 30, "week": 1 / 4, "month": 1, "quarter": 3, "year": 12, "decade": 120}
_NUMBER = re.compile(
    r"\b(?P<digits>\d+)\b|\b(?P<word>one|two|three|four|five|six|seven|eight|nine|ten|twelve|eighteen|twenty[- ]four|thirty[- ]six|couple|half)\b"
)
_VALUES = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "eighteen": 18, "twenty-four": 24, "twenty four": 24, "thirty-six": 36, "thirty six": 36, "couple": 2, "half": 0.5}  # fmt: skip


def _period(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """A count over another period than it was counted over; an amount of a year as one of a month."""
    for figure in sentence.figures:
        fact = known.words.facts.get(figure.slot)
        match = _PERIOD.match(sentence.plain, figure.end)
        if fact is None or match is None:
            continue
        if fact.window and not _is_window(match, fact.window):
            yield Claim(
                "period: another one", match.start(), match.end(), f"{fact.name}: {fact.window} months"
            )
        elif fact.yearly and not _YEARLY.search(match[0]):
            yield Claim("period: the amount is of a year", match.start(), match.end(), f"{fact.name}: a year")


def _window(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """The same where no figure stands before it: "all of them fell in the past month"."""
    facts = [known.words.rests_on.get(one.code, "") for one in sentence.mentions if one.code in known.factors]
    counted = {name: window for name, window in known.words.windows.items() if name in facts}
    match = _PAST.search(sentence.masked)
    if counted and match and not any(_is_window(match, window) for window in counted.values()):
        name, window = next(iter(counted.items()))
        yield Claim("period: another one", match.start(), match.end(), f"{name}: {window:g} months")


def _is_window(match: re.Match[str], window: float) -> bool:
    if _LIFE.search(match[0]):
        return False
    vague = match[0].endswith("s") and not _NUMBER.search(match[0])  # "in recent months"
    return not match["unit"] or vague or _months(match[0], match["unit"]) == window


def _months(said: str, unit: str) -> float:
    number = _NUMBER.search(said)
    if unit not in _LASTING:
        return 0.0
    count = 1.0 if number is None else float(number["digits"] or _VALUES[number["word"]])
    return count * _LASTING[unit]


# ---------------------------------------------------------------- figures in other clothes

_ROMAN = re.compile(
    r"(?<![\w.])(?:X{0,3}(?:IX|IV|VI{0,3}|I{2,3})|X{1,3}|x{0,3}(?:ix|iv|vi{1,3}|i{2,3})|x{2,3})(?=\s[a-z])"
)
_TOO_SOON = re.compile(
    r"\b(?:yesterday|tomorrow|(?:last|next|this|coming) (?:week|month|spring|summer|fall|autumn|winter|quarter|monday|tuesday|wednesday|thursday|friday)|(?:a|one|two|few|couple of) (?:days?|weeks?) ago|(?:in|since) (?:january|february|march|april|may|june|july|august|september|october|november|december|\d{4}))\b"
)


def _roman(sentence: Sentence, _: Known) -> Iterator[Claim]:
    for match in _ROMAN.finditer(sentence.raw):
        if match[0] not in ("V", "X"):
            yield Claim(f"figure: {match[0]}", match.start(), match.end(), "a figure is written in digits")


def _dated(sentence: Sentence, _: Known) -> Iterator[Claim]:
    """A moment in time that no fact has."""
    if match := _TOO_SOON.search(sentence.masked):
        yield Claim("time: no such date is known", match.start(), match.end(), "no dates are facts")


_PARTS_OF = {"half": 50.0, "third": 100 / 3, "quarter": 25.0, "fifth": 20.0, "tenth": 10.0}
_PART = re.compile(
    r"(?P<how>\b(?:more than|over|above|less than|under|below|nearly|almost|barely|about|around|roughly|some|close to|only|just)\s+)?"
    r"\b(?:(?P<many>a|one|two|three|four)[ -])?(?P<part>half|thirds?|quarters?|fifths?|tenths?)\b(?: (?:of|the))"
)
_MANY = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, None: 1}
_NEAR_ENOUGH = 4.0  # percentage points by which a fraction may round


def _fraction(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """A share in words: "two thirds of your income"."""
    for match in _PART.finditer(sentence.masked):
        value = _MANY[match["many"]] * _PARTS_OF[match["part"].rstrip("s")]
        fact = _share_spoken_of(sentence, match.start(), known)
        if fact and not _agrees(match["how"], value, float(value_of(known.assessment, fact))):
            yield Claim(
                f"figure: {match[0].strip()}", match.start(), match.end(), f"{fact} = {known.shown[fact]}"
            )


def _share_spoken_of(sentence: Sentence, at: int, known: Known) -> str:
    """The percentage that the words nearest to a share name."""
    roles = [match for match in known.words.roles.finditer(sentence.masked) if match.lastgroup]
    near = min(roles, key=lambda match: abs(match.start() - at), default=None)
    if near is None or near.lastgroup is None:
        return ""
    name = known.words.facts[near.lastgroup].instead.get("percent", near.lastgroup)
    return name if known.words.facts[name].unit == "percent" and name in known.shown else ""


def _agrees(how: str | None, value: float, fact: float) -> bool:
    word = (how or "").strip()
    if word in ("more than", "over", "above"):
        return fact > value
    if word in ("less than", "under", "below", "nearly", "almost"):
        return fact < value + 1 and (
            word in ("less than", "under", "below") or fact > value - 2 * _NEAR_ENOUGH
        )
    return abs(fact - value) <= _NEAR_ENOUGH


_SPELL = re.compile(
    r"\b(?:for|only|just|barely|about|hardly|nearly|almost|(?P<how>less than|more than|over|under)) (?:a|an|one) (?P<unit>day|week|month|year|decade)\b(?! (?:or|and|ago))"
)


def _spell(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """A duration of one unit in words: "barely a week"."""
    for match in _SPELL.finditer(sentence.masked):
        for code in {one.code for one in sentence.mentions if one.code in known.factors}:
            fact = known.words.rests_on.get(code, "")
            if fact in known.shown and known.words.facts[fact].unit == "months":
                value, unit = float(value_of(known.assessment, fact)), _LASTING[match["unit"]]
                if not _lasts(match["how"], value, unit):
                    yield Claim(
                        f"figure: {match[0]}", match.start(), match.end(), f"{fact} = {known.shown[fact]}"
                    )


def _lasts(how: str | None, value: float, unit: float) -> bool:
    if how in ("less than", "under"):
        return value < unit
    return value > unit if how else unit <= value < 2 * unit


READERS = (
    Reader(_not_the_fact, SLOT),
    Reader(_trend, _TREND),
    Reader(_noun_behind, SLOT),
    Reader(_period, SLOT),
    Reader(_window, _PAST),
    Reader(_roman, _ROMAN),
    Reader(_dated, _TOO_SOON),
    Reader(_fraction, _PART),
    Reader(_spell, _SPELL),
)
