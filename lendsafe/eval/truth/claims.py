"""What a sentence claims that the assessment denies, beyond the rules that every text has to keep.

Each reader takes a sentence and what is known of the assessment and yields claims with their spans.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from lendsafe import parts, slots
from lendsafe.eval.truth.lexicon import phrases, table
from lendsafe.eval.truth.sentence import Sentence
from lendsafe.eval.truth.words import Words, value_of
from lendsafe.parts import Part
from lendsafe.records import Assessment, Style


@dataclass(frozen=True, slots=True)
class Claim:
    """Something a sentence says that is not so.

    Attributes:
        why: The kind of fault, then what is wrong.
        start: Offset in the sentence.
        end: Offset after it.
        fact: What it contradicts, as text.
    """

    why: str
    start: int
    end: int
    fact: str


@dataclass(frozen=True)
class Known:
    """What a sentence is held against.

    Attributes:
        assessment: Decision, factors and facts.
        words: Words of factors and facts.
        factors: Factor parts that a text about it may speak of, by code.
        shown: Facts as a reader sees them.
    """

    assessment: Assessment
    words: Words
    factors: dict[str, Part]
    shown: dict[str, str]

    @classmethod
    def of(cls, assessment: Assessment, words: Words) -> "Known":
        """Everything of an assessment, whatever detail a text goes into."""
        opened = parts.of(assessment, Style(detail="detailed"))
        factors = {part.code: part for part in opened if part.kind == "factor"}
        return cls(assessment, words, factors, slots.facts(assessment))

    def unknown(self, code: str) -> bool:
        """Whether the fact behind a factor is not known; that denies nothing in a text of others."""
        fact = self.words.rests_on.get(code)
        return fact is not None and fact not in self.shown

    @property
    def rests_on_files(self) -> bool:
        """Whether a fact is behind any factor."""
        return any(self.words.factors[code].slots for code in self.factors)

    def held(self) -> str:
        """The factors as text."""
        return (
            ", ".join(f"{part.code} ({part.side}, {part.strength})" for part in self.factors.values())
            or "none"
        )


Reader = Callable[[Sentence, Known], Iterator[Claim]]


def claims(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """Everything that a sentence claims and that is not so, in the order of the readers."""
    for reader in _READERS:
        yield from reader(sentence, known)


# ---------------------------------------------------------------- matters that are in no assessment


def _foreign(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """A sentence about something else: words of no field, of no factor, and not only kind words."""
    outside = sentence.outside
    if not outside or courteous(sentence) or any(one.code in known.factors for one in sentence.mentions):
        return
    said = ", ".join(sentence.plain[a:b] for a, b in outside)
    start, end = outside[0][0], outside[-1][1]
    yield Claim(f"matter: nothing is known of {said}", start, end, known.held())


def courteous(sentence: Sentence) -> bool:
    """Whether it only speaks to the reader: thanks, regrets, where to ask."""
    return bool(_courteous().match(sentence.plain)) and len(sentence.outside) <= _FEW


_FEW = 2


@cache
def _courteous() -> re.Pattern[str]:
    return phrases(table()["courteous"]["openings"])


# ---------------------------------------------------------------- claims by their words


def _stated(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """Comparisons with others, hedges, false orders, hidden reasons."""
    for name, (pattern, why) in _claims().items():
        if not _at_stake(name, known):
            continue
        for match in pattern.finditer(sentence.masked):
            yield Claim(why, match.start(), match.end(), known.held())


def _at_stake(name: str, known: Known) -> bool:
    """Whether a claim of this kind is untrue of this assessment as it stands."""
    weights = {part.strength for part in known.factors.values()}
    return {
        "void": False,
        "hedge": False,
        "unread": known.rests_on_files,
        "equal": len(weights) > 1,
        "alone": len(known.factors) > 1,
    }.get(name, True)


def _hedged(sentence: Sentence, known: Known) -> Iterator[Claim]:
    pattern, why = _claims()["hedge"]
    if any(one.code in known.factors for one in sentence.mentions) and (
        match := pattern.search(sentence.masked)
    ):
        yield Claim(why, match.start(), match.end(), known.held())


# "we may be unable to approve": an outcome is stated, not guessed
_OPEN = r"for now|for the time being|in principle|provisional\w*|conditional\w*|tentative\w*"
_UNDECIDED = re.compile(
    rf"\b(?:may|might|perhaps|probably|possibly|likely|{_OPEN})\b(?:\s+\w+){{0,3}}?\s+(?:unable|able to approve|declin\w+|approved?|den(?:y|ied))\b"
    rf"|\b(?:declin\w+|approved?|approval|den(?:y|ied))\b(?:\s+\w+){{0,5}}?\s+(?:{_OPEN}|subject to|as long as|on condition|provided that|pending|so far|yet|until)\b"
    r"|\bon hold\b|\bnot\s+(?:that\s+)?(?:we\s+)?(?:have\s+|been\s+|yet\s+|really\s+)*declined\b"
)


def _undecided(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """A decision that is hedged or hangs on something."""
    if known.assessment.decision != "incomplete" and (match := _UNDECIDED.search(sentence.masked)):
        yield Claim(
            "decision: it is made", match.start(), match.end(), f"decision = {known.assessment.decision}"
        )


_SPOTLESS = re.compile(
    r"\b(?:record|report|file|history|past)\b(?: \w+){0,3}? (?:clean|spotless|clear|flawless|perfect|excellent|unblemished|free (?:of|from)|without (?:\w+ )?(?:problems?|blemish\w*|marks?|issues?|trouble))\b"
    r"|\b(?:clean|spotless|clear|flawless|perfect|unblemished) (?:\w+ )?(?:record|report|file|history)\b"
)


def _spotless(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """A clean record, where what counted against the applicant is on it."""
    marks = [one.code for one in known.factors.values() if one.side != "favorable"]
    bad = [code for code in marks if known.words.rests_on.get(code) in known.words.counts]
    if (
        bad
        and (match := _SPOTLESS.search(sentence.masked))
        and not _TURN.search(sentence.masked[: match.start()])
    ):
        yield Claim("direction: the record is not clean", match.start(), match.end(), known.held())


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
    r"\b(?:rose|risen|grew|grown|increas\w+|decreas\w+|climb\w*|doubl\w+|tripl\w+|shr[ai]nk\w*|improv\w+|worsen\w*|fell to|fallen to|dropp\w+|went (?:up|down)|gone (?:up|down)|(?:up|down) from|used to)\b"
    r"|\bthan (?:before|ever|last|they were|it was|you (?:did|were|had)|in the past|a year ago|previously|earlier|usual)\b"
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


def _void(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """A factor of the assessment that is said not to have counted."""
    pattern, why = _claims()["void"]
    named = [one for one in sentence.mentions if one.code in known.factors]
    match = pattern.search(sentence.masked)
    if named and match and not _NOT_ONLY.search(sentence.plain):
        yield Claim(why, match.start(), match.end(), known.held())


_NOT_ONLY = re.compile(r"\b(?:not only|not just|nothing else|no other)\b")


@cache
def _claims() -> dict[str, tuple[re.Pattern[str], str]]:
    return {name: (phrases(one["patterns"]), one["why"]) for name, one in table()["claims"].items()}


# ---------------------------------------------------------------- weight

_WEIGHT_NOUN = r"(?:reason|factor|point|concern|part|role|weight|worry|issue|problem|plus|strength|ground|effect|influence|impact)s?"
_WEIGHTS = {
    "strong": re.compile(
        rf"\b(?:major|serious|big|huge|grave|heavy|decisive|overriding|crucial|critical|great|strong) (?:\w+ )?{_WEIGHT_NOUN}\b"
        r"|\b(?:weigh|count|matter)\w* (?:\w+ )?(?:heavily|strongly|greatly|a great deal|a lot)\b|\b(?:decisive|decided (?:it|the matter)|settled (?:it|the matter)|tipped the (?:scale|balance)s?)\b"
    ),
    "slight": re.compile(
        rf"\b(?:small|minor|slight|little|lesser|tiny|trivial|modest|negligible|marginal) (?:\w+ )?{_WEIGHT_NOUN}\b"
        r"|\b(?:weigh|count|matter)\w* (?:\w+ )?(?:slightly|a little|little|marginally|barely|hardly)\b|\b(?:slightly|a little|hardly|barely|scarcely) (?:weigh|count|matter)\w*\b"
    ),
}


def _weight(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """A strong factor called small, a slight one called major."""
    named = {one.code for one in sentence.mentions if one.code in known.factors}
    if len(named) != 1:
        return
    part = known.factors[named.pop()]
    opposite = {"strong": "slight", "slight": "strong"}.get(part.strength)
    if opposite and (match := _WEIGHTS[opposite].search(sentence.masked)):
        yield Claim(f"strength: {opposite}", match.start(), match.end(), f"{part.code}: {part.strength}")


# ---------------------------------------------------------------- cause

_CAUSED = re.compile(
    r"\b(?:because of|due to|owing to|thanks to|(?:come|came|comes|stem\w*|result\w*|arose|arise\w*) (?:\w+ )?(?:from|because of|out of)|caused by|brought (?:on|about) by|explained by|as a result of|on account of)\b"
)
_OF_DECISION = re.compile(r"\b(?:decision|declin\w+|approv\w+|den\w+|unable|cannot|answer|outcome|request)\b")


def _caused(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """One factor as the cause of another, or of anything but the decision."""
    match = _CAUSED.search(sentence.masked) or _GROUND.search(sentence.masked)
    if match is None:
        return
    before = {one.code for one in sentence.mentions if one.end <= match.start()}
    after = {one.code for one in sentence.mentions if one.start >= match.end()}
    two = len((before | after) & set(known.factors)) > 1
    if _GROUND.match(match[0]) and not two:
        return
    if (before or two) and not _OF_DECISION.search(sentence.masked):
        yield Claim("cause: no cause of it is known", match.start(), match.end(), known.held())


_GROUND = re.compile(r"\b(?:because|since|as we|so that)\b(?! of)")


# ---------------------------------------------------------------- purpose

_REQUEST = re.compile(
    r"\b(?:loan|request\w*|appl\w+|borrow\w*|ask\w*|lend\w*|approv\w+|declin\w+|financ\w+)\b"
)
_FOR = re.compile(r"(?:\b(?:for|to|toward|towards)\b|\ba\b|\bthe\b)[^.,;]{0,40}$")


def _purpose(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """Another purpose than the application's."""
    own = known.words.purpose(known.assessment)
    if not _REQUEST.search(sentence.masked) or any(one.code in known.factors for one in sentence.mentions):
        return
    for match in known.words.all_purposes.finditer(sentence.masked):
        if match.lastgroup != own and _FOR.search(sentence.masked, 0, match.start()):
            yield Claim(f"purpose: {match[0]}", match.start(), match.end(), f"purpose = {own}")


# ---------------------------------------------------------------- party

_OWNER = re.compile(r"\b(?:your|the|a) (?P<who>[a-z]+)(?:'s|s') (?!own\b)|\b(?:his|her|their) (?=\w+ )")
_SELF = frozenset(
    {
        "applicant",
        "lender",
        "bureau",
        "month",
        "year",
        "today",
        "member",
        "customer",
        "lenders",
        "creditor",
        "creditors",
    }
)


def _party(sentence: Sentence, _: Known) -> Iterator[Claim]:
    """A factor of somebody else's."""
    for match in _OWNER.finditer(sentence.masked):
        near = [
            one
            for one in sentence.mentions
            if 0 <= one.start - match.end() <= _BESIDE or match.start() < one.start < match.end() + 1
        ]
        if near and match["who"] and match["who"] not in _SELF:
            yield Claim(f"party: {match['who']}", match.start(), match.end(), "the applicant's own")


_BESIDE = 20


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
    return not match["unit"] or _months(match[0], match["unit"]) == window


def _months(said: str, unit: str) -> float:
    number = _NUMBER.search(said)
    if unit not in _LASTING:
        return 0.0
    count = 1.0 if number is None else float(number["digits"] or _VALUES[number["word"]])
    return count * _LASTING[unit]


# ---------------------------------------------------------------- negation

_TURN = re.compile(
    r"\b(?:no|not|never|nothing|none|nobody|neither|nor|without|cannot|unable|fail(?:ed|s)?|\w+n't|far from|hardly|untrue|false)\b"
)


def _doubly_negated(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """What holds or does not, turned twice: "nothing that we did not verify"."""
    for code, part in known.factors.items():
        entry = known.words.factors.get(code)
        if entry is None or entry.levelled or part.side == "favorable" or not entry.verb:
            continue
        match = re.search(entry.verb, sentence.masked)
        before = sentence.masked[: match.start()].rpartition(",")[2] if match else ""
        if match and len(_TURN.findall(before)) > 1:
            yield Claim("negation: turned twice", match.start(), match.end(), f"{code}: {part.side}")


# ---------------------------------------------------------------- figures in other clothes

_ROMAN = re.compile(
    r"(?<![\w.])(?:X{0,3}(?:IX|IV|VI{0,3}|I{2,3})|X{1,3}|x{0,3}(?:ix|iv|vi{1,3}|i{2,3})|x{2,3})(?=\s[a-z])"
)
_TOO_SOON = re.compile(
    r"\b(?:yesterday|tomorrow|(?:last|next|this|coming) (?:week|month|spring|summer|fall|autumn|winter|quarter|monday|tuesday|wednesday|thursday|friday)|(?:a|one|two|few|couple of) (?:days?|weeks?) ago|(?:in|since) (?:january|february|march|april|may|june|july|august|september|october|november|december|(?:19|20)\d\d))\b"
)


def _roman(sentence: Sentence, _: Known) -> Iterator[Claim]:
    for match in _ROMAN.finditer(sentence.raw):
        if match[0] not in ("V", "X"):
            yield Claim(f"figure: {match[0]}", match.start(), match.end(), "a figure is written in digits")


def _dated(sentence: Sentence, _: Known) -> Iterator[Claim]:
    """A moment in time that no fact has."""
    if match := _TOO_SOON.search(sentence.masked):
        yield Claim("time: no such date is known", match.start(), match.end(), "no dates are facts")


def _denied(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """A factor that the facts rule out, whoever lists it."""
    for one in sentence.mentions:
        part = known.factors.get(one.code)
        if part is None or not one.asserted or known.unknown(one.code):
            continue
        if fact := known.words.denied(one.code, part.side, known.assessment):
            yield Claim(f"facts: they deny {one.code}", one.start, one.end, fact)


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


_FUTURE = re.compile(
    r"\b(?P<who>[a-z]+) (?:will|shall|won't|(?:is|are|am) going to)\b(?: not)?|\b(?P<short>you|we|it|they)'ll\b"
)


def _future(sentence: Sentence, _: Known) -> Iterator[Claim]:
    """What will be is no fact."""
    for match in _FUTURE.finditer(sentence.masked):
        if not _allowed().match(sentence.masked, match.end() + 1):
            yield Claim(
                "promise: what will be is no fact", match.start(), match.end(), "facts are of the day"
            )


@cache
def _allowed() -> re.Pattern[str]:
    return phrases(table()["future"]["allowed"])


_READERS: tuple[Reader, ...] = (
    _foreign, _stated, _hedged, _undecided, _not_the_fact, _trend, _noun_behind, _spotless, _void, _weight, _caused, _purpose, _party, _period, _window, _doubly_negated, _roman, _dated, _fraction, _spell, _future,
    _denied,
)  # fmt: skip
