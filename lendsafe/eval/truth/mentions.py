"""Which factors a text speaks of, and which way it says they point.

The reading is shallow and exact: phrases of ``lexicon.toml`` are found clause by clause; the
words around a phrase (good, bad, much, little, negated, conceded, outweighed) give it a sign.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from lendsafe.eval.truth import sentences
from lendsafe.eval.truth.lexicon import lexicon, list_of
from lendsafe.eval.truth.masking import mask
from lendsafe.eval.truth.sentences import Span
from lendsafe.eval.truth.words import FactorWords, remembered, words
from lendsafe.slots import SLOT


@dataclass(frozen=True, slots=True)
class Mention:
    """One place where a text speaks of a factor.

    Attributes:
        code: Code of the catalogue, or the name of a foreign factor, or ``unknown``.
        start: Offset in the text.
        end: Offset after it.
        sign: 1 favourable, -1 adverse, 0 not said.
        explicit: Whether words around it give the sign; else it is the decision's own.
        asserted: Whether it is named as a factor, not just as something that was looked at.
        mixed: Whether the words around it say two opposite things: "what helped was the short time in your job".
        aside: Whether it only explains another factor: "no inquiries, so you are not taking on new loans".
    """

    code: str
    start: int
    end: int
    sign: int
    explicit: bool
    asserted: bool = True
    mixed: bool = False
    aside: bool = False


class _Item(NamedTuple):
    """A phrase found in a sentence, with the list it is from."""

    start: int
    end: int
    name: str
    kind: str
    clause: int


class _Cue(NamedTuple):
    start: int
    end: int
    kind: str
    sign: int  # -1 if turned by a negation or a wish, else 1
    clause: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A sentence as read: mentions with offsets in it, and the tone of one without mentions."""

    mentions: tuple[Mention, ...]
    tone: int


_HYPOTHETICAL = re.compile(
    r"\b(?:lower|higher|longer|shorter|fewer|less|smaller|more|larger|stronger|better|lighter|steadier)\b.*\b(?:would|could|might)\b"
    r"|\b(?:would|could(?! not)|might|if)\b.*\b(?:been|were|better|lower|fewer|shorter|longer|stronger)\b"
)
_WORD = re.compile(r"[\w'{}$%]+")
_PASSIVE = re.compile(r"\b(?:is|was|are|were|been|being|be)\s+(?:\w+\s+)?$")

TONES = {"good": 1, "helped": 1, "bad": -1, "hurt": -1}
_SIGNED = frozenset({*TONES, "more", "less"})
_NO_LEVEL = re.compile(r"only|just|more|much|several|a lot|lots|less|a number of")  # too loose to set a level
_VERDICT_NOUN = re.compile(
    r"worr|concern|problem|plus|minus|strength|weakness|drawback|advantage|benefit|doubt|disadvantage|obstacle|barrier|help$|harm$"
)
_REACH, _FAR = 4, 8  # words from a negation to what it turns: "not", and "nothing on your report has ever"
_SUBJECT = re.compile(
    r"(?:nothing|none|never|neither|no one)\b|no (?:other )?(?:creditors?|lenders?|bills?|debts?|accounts?|payments?)\b"
)
_ADJACENT = 2  # characters between two neighbouring words
_WIDE = 45  # the same where nothing contradicts it
_NEAR = 28  # characters between a factor and a word that sets its level


def mentions(text: str, *, approved: bool) -> list[Mention]:
    """Every mention of a factor in ``text``, in order.

    Args:
        text: A narrative, with slots or with figures.
        approved: Whether the decision is an approval: an unsigned factor then speaks for the applicant.
    """
    outcome, found, frame = (1 if approved else -1), [], 0
    lowered = text.lower()
    lowered = (
        lowered
        if len(lowered) == len(text)
        else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    )
    for start, end in sentences.split(lowered):
        reading = read_sentence(lowered[start:end], outcome)
        if not reading.mentions and reading.tone:
            frame = reading.tone
        for one in reading.mentions:
            sign = one.sign if one.explicit or not frame or not one.asserted else frame
            place = (one.start + start, one.end + start)
            found.append(Mention(one.code, *place, sign, one.explicit, one.asserted, one.mixed, one.aside))
    return found


@remembered(1 << 16)
def read_sentence(sentence: str, outcome: int) -> Reading:
    """Mentions of a lower-case sentence, under a decision (1 approved, -1 not)."""
    plain = mask(sentence)
    bounds = sentences.clauses(plain)
    items = _items(sentence, plain, bounds)
    # "lenders have looked at your report": a word inside a factor's phrase says nothing about the review
    cues = [
        cue
        for cue in _cues(plain, bounds)
        if cue.kind != "process" or not any(item.start < cue.end and cue.start < item.end for item in items)
    ]
    items = _without_idle_weak(items, cues)
    turned = _turned(plain, bounds, items, cues)
    turned[0].update(_wished_for(plain, bounds, items))
    cues = [cue._replace(sign=-cue.sign) if index in turned[1] else cue for index, cue in enumerate(cues)]
    sentence_tone = sum(_tone(cue) for cue in cues)
    found = []
    for item in items:
        sign, explicit = _sign(item, items, cues, plain, bounds, outcome, item in turned[0])
        found.append(
            Mention(
                item.name,
                item.start,
                item.end,
                sign or outcome,
                explicit,
                _asserted(item, cues, plain, explicit),
                _mixed(item, items, cues, plain, item in turned[0]),
                _aside(item, items, cues, plain, bounds),
            )
        )
    return Reading(tuple(found), (sentence_tone > 0) - (sentence_tone < 0))


def _slot_kind(code: str) -> str:
    return "slot" if code in words().factors else "fact"  # a fact of no factor says nothing by itself


def _items(sentence: str, plain: str, bounds: list[Span]) -> list[_Item]:
    items = [
        _Item(match.start(), match.end(), code, _slot_kind(code), _clause(match.start(), bounds))
        for match in SLOT.finditer(sentence)
        if (code := words().spoken_of.get(match[1]))
    ]
    for match in words().named.finditer(plain):
        code, _, kind = list_of(match).partition("__")
        items.append(_Item(match.start(), match.end(), code, kind, _clause(match.start(), bounds)))
    for match in lexicon().foreign.finditer(plain):
        over = [item for item in items if item.start < match.end() and match.start() < item.end]
        if all(item.kind == "weak" for item in over):
            items = [item for item in items if item not in over]  # "a second source of income" is no income
            items.append(
                _Item(
                    match.start(),
                    match.end(),
                    list_of(match),
                    "foreign",
                    _clause(match.start(), bounds),
                )
            )
    return sorted(items)


def _clause(offset: int, bounds: list[Span]) -> int:
    for index, (start, end) in enumerate(bounds):
        if start <= offset < end:
            return index
    return len(bounds) - 1


def _cues(plain: str, bounds: list[Span]) -> list[_Cue]:
    hypothetical = {
        index for index, (start, end) in enumerate(bounds) if _HYPOTHETICAL.search(plain, start, end)
    }
    wishes = [(match.end(), _clause(match.start(), bounds)) for match in lexicon().wish.finditer(plain)]
    cues = []
    for match in lexicon().cues.finditer(plain):
        clause, kind = _clause(match.start(), bounds), list_of(match)
        measured = kind == "more" and plain.endswith("how ", 0, match.start())  # "how long" says no level
        if measured or (clause in hypothetical and kind in _SIGNED):
            continue
        wished = any(end <= match.start() and where == clause for end, where in wishes)
        cues.append(_Cue(match.start(), match.end(), kind, -1 if wished else 1, clause))
    return cues


def _turned(
    plain: str, bounds: list[Span], items: list[_Item], cues: list[_Cue]
) -> tuple[set[_Item], set[int]]:
    """The mentions and the cues (by index) that a negation turns: the first one after it, four words at most."""
    turned_items: set[_Item] = set()
    turned_cues: set[int] = set()
    for match in lexicon().negation.finditer(plain):
        if any(cue.start < match.end() and match.start() < cue.end for cue in cues):
            continue
        clause = _clause(match.start(), bounds)
        for item in items:
            if item.start <= match.start() < item.end and item.kind in ("adverse", "favourable"):
                # "no credit file" is adverse as it stands; "payments were not late" is turned
                if not _factor(item).standing and item.start < match.start():
                    turned_items.add(item)
                break
        else:
            _turn_next(match, clause, plain, items, cues, turned_items, turned_cues)
    return turned_items, turned_cues


def _wished_for(plain: str, bounds: list[Span], items: list[_Item]) -> set[_Item]:
    """What the lender would want to see: "we prefer bills that are paid on time"."""
    wishes = [(match.end(), _clause(match.start(), bounds)) for match in lexicon().wish.finditer(plain)]
    return {
        item
        for item in items
        if item.kind == "favourable"
        and any(end <= item.start and clause == item.clause for end, clause in wishes)
    }


def _turn_next(
    match: re.Match[str],
    clause: int,
    plain: str,
    items: list[_Item],
    cues: list[_Cue],
    turned_items: set[_Item],
    turned_cues: set[int],
) -> None:
    after: list[tuple[int, int, int]] = [
        (cue.start, 0, index)
        for index, cue in enumerate(cues)
        if cue.clause == clause and cue.start >= match.end() and cue.kind not in ("cause", "process")
    ]
    after += [
        (item.start, 1, index)
        for index, item in enumerate(items)
        if item.clause == clause and item.start >= match.end() and item.kind != "slot"
    ]
    if not after:
        return
    start, is_item, index = min(after)
    reach = _FAR if _SUBJECT.match(plain, match.start()) else _REACH
    if len(_WORD.findall(plain, match.end(), start)) > reach:
        return
    if is_item:
        level = next(
            (i for start, other, i in sorted(after) if not other and cues[i].kind in ("more", "less")), None
        )
        if items[index].kind in ("adverse", "favourable") or level is None:
            turned_items.add(items[index])
        else:
            turned_cues ^= {level}  # "not been in your job for long"
    else:
        turned_cues ^= {index}


def _without_idle_weak(items: list[_Item], cues: list[_Cue]) -> list[_Item]:
    """Drop common words ("income", "credit history") that no cue or cause makes a factor."""
    strong = {item.clause for item in items if item.kind != "weak"}
    cued = {cue.clause for cue in cues if cue.kind in _SIGNED}
    named = any(cue.kind == "cause" for cue in cues) or (not strong and bool(cued))
    # "how much of your income goes to debt", "the income that we could not verify": another factor's words
    others = {item.name for item in items if item.kind != "weak"}
    return [
        item
        for item in items
        if item.kind != "weak"
        or (
            item.clause not in strong
            and (item.clause in cued or named)
            and not others & set(_factor(item).yields_to)
        )
    ]


def _tone(cue: _Cue) -> int:
    return cue.sign * TONES.get(cue.kind, 0)


def _level(cue: _Cue, item: _Item, plain: str) -> int:
    """Sign of "high" or "low" for a factor."""
    entry = _factor(item)
    if not entry.levelled:
        return 0
    level = cue.sign if cue.kind == "more" else -cue.sign
    if entry.of and entry.beside:
        return level * _of_which(cue, plain, entry)
    return -level if entry.more_is_adverse else level


def _factor(item: _Item) -> FactorWords:
    """What is known of a factor; a thing that is none is bad in numbers, unless it is known better."""
    return words().factors.get(item.name) or FactorWords(
        code=item.name, more_is_adverse=item.name not in words().good_in_numbers
    )


def _of_which(cue: _Cue, plain: str, entry: FactorWords) -> int:
    """1 if "high" speaks of what a factor measures (income), -1 if of what it is held against (the amount)."""

    def distance(noun: str) -> int:
        before = [cue.start - match.end() for match in re.finditer(noun, plain[: cue.start])]
        after = [match.start() for match in re.finditer(noun, plain[cue.end :])]
        subject = [
            gap
            for gap in before
            if re.search(r"\b(?:is|are|was|were|looks?|seems?)\b", plain[cue.start - gap : cue.start])
        ]
        # "the amount is large for your income": a copula ties an adjective to what stands before it
        return min([*after, *(gap - 100 for gap in subject), *before], default=1000)

    return 1 if distance(entry.of) <= distance(entry.beside) else -1


def _own(item: _Item, items: list[_Item], cues: Iterable[_Cue], plain: str) -> int:
    """Sum of the cues of the mention's own clause."""
    if verdict := sum(
        _tone(cue) for cue in cues if cue.clause == item.clause and cue.kind in ("helped", "hurt")
    ):
        return verdict  # what it did to the request outweighs what it is
    total = 0
    neighbours = [one for one in items if one.clause == item.clause]
    for cue in cues:
        if cue.clause != item.clause:
            continue
        if cue.kind in TONES:
            total += _tone(cue)
        elif (
            cue.kind in ("more", "less")
            and item.kind != "favourable"
            and _gap(cue, item) <= _WIDE
            and _nearest(cue, neighbours).name == item.name
        ):
            total += _level(cue, item, plain)
    return total


def _nearest(cue: _Cue, items: list[_Item]) -> _Item:
    return min(items, key=lambda item: _gap(cue, item))


def _gap(cue: _Cue, item: _Item) -> int:
    return max(item.start - cue.end, cue.start - item.end, 0)


def _sign(
    item: _Item,
    items: list[_Item],
    cues: list[_Cue],
    plain: str,
    bounds: list[Span],
    outcome: int,
    turned: bool,
) -> tuple[int, bool]:
    """Sign of a mention and whether words give it."""
    if compared := _compared(item, cues, plain, outcome):
        return compared, True
    own = _own(item, items, cues, plain)
    if own:
        return (1 if own > 0 else -1), True
    if item.kind in ("adverse", "favourable") and not _counted(item, plain):
        return (1 if (item.kind == "favourable") != turned else -1), True
    if turned and item.kind in ("neutral", "weak"):
        return (1 if _factor(item).more_is_adverse else -1), True
    if any(cue.kind == "concession" and cue.clause == item.clause and cue.start < item.start for cue in cues):
        return -outcome, True
    if around := _around(item, items, cues, len(bounds), plain):
        return around, True
    whole = {_tone(cue) for cue in cues} - {0}
    if len(whole) == 1:
        return whole.pop(), False
    return outcome, False


def _mixed(item: _Item, items: list[_Item], cues: list[_Cue], plain: str, turned: bool) -> bool:
    """Whether what the factor did (helped, hurt) and what it is (short, late, low) point opposite ways."""
    if any(cue.kind in ("contrast", "concession") for cue in cues):
        return False
    own = [cue for cue in cues if cue.clause == item.clause]
    did = {_tone(cue) for cue in own if cue.kind in ("helped", "hurt")}
    if len(did) != 1 or item.kind in ("foreign", "fact"):
        return False
    if _CONCERNED.search(plain[: item.start]):
        return False
    neighbours = [one for one in items if one.clause == item.clause]
    verdicts = [
        cue.start
        for cue in own
        if cue.kind in ("helped", "hurt") and _VERDICT_NOUN.match(plain, cue.start, cue.end)
    ]

    def sizes(cue: _Cue) -> bool:
        """Whether a word is about the verdict that it stands before: "a serious worry", "a small plus"."""
        return any(0 <= start - cue.end <= _ADJACENT for start in verdicts)

    is_ = {_tone(cue) for cue in own if cue.kind in ("good", "bad") and not sizes(cue)}
    if item.kind in ("adverse", "favourable"):
        is_.add(1 if (item.kind == "favourable") != turned else -1)
    for cue in own:
        if cue.kind not in ("more", "less") or sizes(cue) or _gap(cue, item) > _NEAR:
            continue
        if _NO_LEVEL.fullmatch(plain, cue.start, cue.end):
            continue
        if item.kind != "favourable" and _nearest(cue, neighbours).name == item.name:
            is_.add(_level(cue, item, plain))
    return is_ - {0} == {-one for one in did}


# "which raises concern about on-time repayment"
_CONCERNED = re.compile(
    r"\b(?:concern\w*|doubts?|worr\w+|questions?|pause|caution) (?:about|over|regarding|as to|with) (?:\w+ ){0,3}$"
)
_SUPPOSED = re.compile(
    r"\bif (?:you|we|i) (?:believe|think|feel|find|notice|know|suspect)\b|\b(?:we|i) (?:know|understand|see|realize) (?:that )?you (?:may|might) (?:\w+ )?(?:be|have) (?:\w+ )?$"
)
_PERSON = re.compile(r"\b(?:you|your|yours|applicants?|applicant's)\b|[{$\d]")
# "we have no way to see how you have paid other lenders"
_SEEN = re.compile(
    r"\b(?:no way to|cannot|could not|unable to|hard(?: for us)? to|difficult(?: for us)? to|little to) (?:\w+ ){0,2}?(?:see|tell|judge|know|learn|say) (?:how|whether|if)\b"
)
_SINCE = re.compile(r"(?:,\s*)?(?:since|as|because)\b")
_EXPLAINS = re.compile(r"(?:,\s*)?(?:and )?(?:so|because|which|since|as|nor|or|(?<=and )(?:that|this|it))\b")


def _aside(item: _Item, items: list[_Item], cues: list[_Cue], plain: str, bounds: list[Span]) -> bool:
    """Whether a mention explains: in a clause after another one that no word judges, or of people in general."""
    if not _PERSON.search(plain) and not any(cue.kind in ("helped", "hurt", "cause") for cue in cues):
        return True
    if _SEEN.search(plain, 0, item.start + 4):
        return True
    start, end = bounds[item.clause]
    judged = any(cue.clause == item.clause and cue.kind in ("helped", "hurt") for cue in cues)
    later = any(one.clause < item.clause and one.name != item.name for one in items)
    general = bool(_SINCE.match(plain, start, end)) and not _PERSON.search(plain, start, end)
    return not judged and (general or (later and bool(_EXPLAINS.match(plain, start, end))))


def _counted(item: _Item, plain: str) -> bool:
    """Whether a figure stands right before the phrase: "2 late payments" has the direction of its context."""
    return (
        bool(re.search(r"[\d}](?:\w*[ -]\w+)?[ -]$", plain[: item.start]))
        and plain[max(0, item.start - 2) : item.start] != "0 "
    )


def _compared(item: _Item, cues: list[_Cue], plain: str, outcome: int) -> int:
    """Sign from "A outweighed B"; 0 if nothing of the kind is said."""
    for cue in cues:
        if cue.kind == "contrast":
            before = (item.start < cue.start) != bool(_PASSIVE.search(plain[: cue.start]))
            return outcome * cue.sign if before else -outcome * cue.sign
    return 0


def _around(item: _Item, items: list[_Item], cues: list[_Cue], clauses: int, plain: str) -> int:
    """Tone of the clauses next to the mention's that hold no mention: the following ones first."""
    occupied = {one.clause for one in items}
    for step, stop in ((1, clauses), (-1, -1)):
        for clause in range(item.clause + step, stop, step):
            if clause in occupied:
                break
            total = sum(
                _tone(cue) or (_level(cue, item, plain) if cue.kind in ("more", "less") else 0)
                for cue in cues
                if cue.clause == clause and not _NO_LEVEL.fullmatch(plain, cue.start, cue.end)
            )
            if total:
                return 1 if total > 0 else -1
    return 0


def _asserted(item: _Item, cues: list[_Cue], plain: str, explicit: bool) -> bool:
    kinds = {cue.kind for cue in cues}
    if item.kind == "fact":
        return any(cue.clause == item.clause and cue.kind in TONES for cue in cues)
    if _SUPPOSED.search(plain[: item.start]):
        return False
    if item.kind == "foreign":
        near = {cue.kind for cue in cues if cue.clause == item.clause}
        return bool(near & _SIGNED or kinds & {"cause"} or (explicit and kinds & set(TONES)))
    return explicit or "process" not in kinds or "cause" in kinds
