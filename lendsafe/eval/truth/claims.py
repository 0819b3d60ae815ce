"""What a sentence claims that the assessment denies, beyond the rules that every text has to keep.

Each reader takes a sentence and what is known of the assessment and yields claims with their spans.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache

from lendsafe.eval.truth import quantities
from lendsafe.eval.truth.known import Claim, Known, Reader
from lendsafe.eval.truth.lexicon import phrases, table
from lendsafe.eval.truth.sentence import Sentence
from lendsafe.eval.truth.words import words


def claims(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """Everything that a sentence claims and that is not so, in the order of the readers."""
    readers = _readers()
    for index in _stirred(sentence.raw if not sentence.has_digits else sentence.like, sentence.like_masked):
        yield from readers[index].read(sentence, known)


@lru_cache(maxsize=1 << 16)
def _stirred(raw: str, masked: str) -> tuple[int, ...]:
    """Readers whose words are in a sentence; the same for sentences that differ in figures only."""
    return tuple(
        index
        for index, reader in enumerate(_readers())
        if reader.trigger is None or reader.trigger.search(masked) or reader.trigger.search(raw)
    )


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
        match = pattern.search(sentence.masked)
        if match and _at_stake(name, known):
            yield Claim(why, match.start(), match.end(), known.held())


def _at_stake(name: str, known: Known) -> bool:
    """Whether a claim of this kind is untrue of this assessment as it stands."""
    if name == "unread":
        return known.rests_on_files
    if name == "equal":
        return len(known.weights) > 1
    return name not in ("void", "hedge") and (name != "alone" or len(known.factors) > 1)


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


# ---------------------------------------------------------------- facts and what is to come


def _denied(sentence: Sentence, known: Known) -> Iterator[Claim]:
    """A factor that the facts rule out, whoever lists it."""
    for one in sentence.mentions:
        part = known.factors.get(one.code)
        if part is None or not one.asserted or known.unknown(one.code):
            continue
        if fact := known.words.denied(one.code, part.side, known.assessment):
            yield Claim(f"facts: they deny {one.code}", one.start, one.end, fact)


_RISK = re.compile(r"\b(?:risk|chance|likel\w+|whether|how|if|doubts?)\b")


_FUTURE = re.compile(
    r"\b(?P<who>[a-z]+) (?:will|shall|won't|(?:is|are|am) going to)\b(?: not)?|\b(?P<short>you|we|it|they)'ll\b"
)


def _future(sentence: Sentence, _: Known) -> Iterator[Claim]:
    """What will be is no fact."""
    for match in _FUTURE.finditer(sentence.masked):
        if _RISK.search(sentence.masked, 0, match.start()):
            continue  # "the risk that a new loan will not be repaid"
        if not _allowed().match(sentence.masked, match.end() + 1):
            yield Claim(
                "promise: what will be is no fact", match.start(), match.end(), "facts are of the day"
            )


@cache
def _allowed() -> re.Pattern[str]:
    return phrases(table()["future"]["allowed"])


@cache
def _readers() -> tuple[Reader, ...]:
    said = [pattern.pattern for pattern, _ in _claims().values()]
    return (
        Reader(_stated, re.compile("|".join(said))),
        Reader(_hedged, _claims()["hedge"][0]),
        Reader(_undecided, _UNDECIDED),
        Reader(_spotless, _SPOTLESS),
        Reader(_void, _claims()["void"][0]),
        Reader(_weight, re.compile("|".join(pattern.pattern for pattern in _WEIGHTS.values()))),
        Reader(_caused, re.compile(f"{_CAUSED.pattern}|{_GROUND.pattern}")),
        Reader(_purpose, words().all_purposes),
        Reader(_party, _OWNER),
        *quantities.READERS,
        Reader(_doubly_negated, _TURN),
        Reader(_future, _FUTURE),
        Reader(_denied, None),
        Reader(_foreign, None),
    )
