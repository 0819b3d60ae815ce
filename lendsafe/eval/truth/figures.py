"""Is every figure of a sentence a fact of the assessment, in the role that the words give it?"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lendsafe import slots
from lendsafe.eval.truth.numbers import Quantity, Read, read, role_of
from lendsafe.eval.truth.words import value_of, words
from lendsafe.records import Assessment, Finding

_PAST = re.compile(
    r"(?:\b(?:past|last|previous|prior|preceding|recent|latest|most recent|within|in|over|during)\s+(?:the\s+)?(?:past\s+|last\s+)?(?:just\s+|only\s+|about\s+|as little as\s+)?)$"
)
_LIMIT_WORD = r"(?:minimum|maximum|(?<!credit )(?<!card )limit|thresholds?|cut[ -]?offs?|ceiling|floor|requirements?|benchmark|guideline|cap|target|standard|norm)"
_LIMIT_BEFORE = re.compile(
    rf"(?:\b{_LIMIT_WORD}(?:\s+(?:\w+\s+)?(?:score|ratio|level|income))?(?:\s+(?:of|is|was|at|stands at|set at))?|\brequire[sd]?|\bmust be|\bneed(?:s|ed)?(?: at least)?|\bwe (?:want|look for|prefer|accept|allow|ask for)(?: at least| at most| up to)?)[\s:(]*(?:at least |at most |up to |about )?$"
)
_LIMIT_AFTER = re.compile(
    rf"^[\s-]*(?:point |score |credit |dti |ratio |percent )?{_LIMIT_WORD}\b|^\s*(?:or (?:more|less|higher|lower|better|above|below|under|over) (?:is|are) (?:required|needed))|^\s*(?:that )?(?:we|is|are) (?:require|need|want|look for|accept|allow|ask)"
)
_OPERATORS = (
    ("about", re.compile(r"\b(?:about|around|roughly|approximately|nearly|almost|close to|some|just over|just under|a little (?:over|under|more than|less than)|well over|well under)\s*$")),
    (">", re.compile(r"\b(?:more than|(?<!back )(?<!off )(?<!repay )(?<!repaid )(?<!spread )over|above|exceed(?:s|ed|ing)?|greater than|higher than|upwards? of|north of|beyond|in excess of)\s*$")),
    (">=", re.compile(r"\b(?:at least|no (?:less|fewer) than|a minimum of|not less than)\s*$")),
    ("<", re.compile(r"\b(?:less than|under|below|fewer than|lower than|short of|shy of)\s*$")),
    ("<=", re.compile(r"\b(?:at most|up to|no more than|not more than|a maximum of)\s*$")),
)  # fmt: skip
_COUNT_OF_FACTORS = re.compile(
    r"^\s+(?:main |principal |key |chief |minor |major |small |smaller |lesser |big |bigger |slight |further |more |additional |important |primary |specific |separate |other |adverse |positive |favou?rable |such |clear )*(?:reasons?|factors?|strengths?|points?|things|concerns?|issues?|considerations?|grounds?|findings?|items?|facts?|matters?|counts|parts?|areas?)\b"
)
_ALL = re.compile(
    r"\b(?:all|these|those|both|other|of the|reason|reason number|point|number|item)\s+$"
)  # "all four come from your report"
_SMALL = 12  # "after two readings": a small number of things that are no fact
_OTHER_NOUN = re.compile(r"\s+(?!of\b|in\b|and\b|or\b|more\b|times?\b)[a-z]{3,}")
_CITATION = re.compile(
    r"\b(?:sections?|paragraph|article|title|part|c\.?f\.?r\.?|u\.?s\.?c\.?)\s+$|\u00a7\s*$"
)
_FOR = re.compile(r"\bfor\s+(?:the\s+)?$")
_WINDOWED = re.compile(r"\b(?:payments?|paid|on time|late|inquir\w+|opened)\b")
_WINDOW = re.compile(r"\s*(?:period|window)")
_ALLOWED_DAYS = (30.0, 60.0)  # a payment counts as late from day 30; rights run for 60 days
_SCORE_RANGE = (300.0, 850.0)
_APPROXIMATE = 0.05

Problem = tuple[str, str]  # what is wrong with a figure, and the fact that it contradicts


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound of the lender's policy that a text may cite, such as a minimum score of 640."""

    low: float | None = None
    high: float | None = None

    def met(self, fact: float) -> bool:
        """Whether a fact lies within the bounds."""
        return (self.low is None or fact >= self.low) and (self.high is None or fact <= self.high)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the figures of a text are judged by.

    Attributes:
        values: Known facts, in the units of :class:`~lendsafe.records.Applicant`.
        shown: The same as a reader sees them.
        slots: Every slot that a text about the product may hold.
        counts: Numbers of factors that a text may state.
        limits: Bounds of the lender's policy that a text may cite, by fact.
    """

    values: Mapping[str, float]
    shown: Mapping[str, str]
    slots: frozenset[str]
    counts: frozenset[int]
    limits: Mapping[str, Limit]


def facts_of(assessment: Assessment, limits: Mapping[str, Limit] | None = None) -> Facts:
    """The facts of an assessment."""
    values = {name: value_of(assessment, name) for name in words().facts}
    reasons, strengths = len(assessment.reasons), len(assessment.strengths)
    return Facts(
        {name: float(value) for name, value in values.items() if value is not None},
        slots.facts(assessment),
        slots.known(assessment.applicant.product),
        frozenset(
            {reasons, strengths, reasons + strengths} if assessment.decision == "approved" else {reasons}
        ),
        limits or {},
    )


def check_figures(sentence: str, facts: Facts, *, slotted: bool) -> list[Finding]:
    """G2 for one lower-case sentence; offsets are within it.

    Args:
        sentence: Lower-case text of one sentence.
        facts: What its figures may state.
        slotted: Whether facts have to be slots, so that a written figure is itself a finding.
    """
    known = read(sentence)
    problems = []
    for one in known.figures:
        problem = _slot_problem(one, known, facts) if one.slot else _figure_problem(one, known, facts)
        if (
            not problem
            and slotted
            and not one.slot
            and not _is_constant(one, known)
            and not _counts(one, known, facts)
        ):
            problem = ("a figure is written out; name the slot instead", "")
        if problem:
            message = f"'{sentence[one.start : one.end]}': {problem[0]}."
            problems.append(Finding("G2", message, one.start, one.end, problem[1]))
    return problems


def judged(sentence: str, facts: Facts) -> list[tuple[Quantity, bool]]:
    """Figures and slots of a lower-case sentence, each with whether it is right (numeric accuracy)."""
    wrong = {(one.start, one.end) for one in check_figures(sentence, facts, slotted=False)}
    return [(one, (one.start, one.end) not in wrong) for one in read(sentence).figures]


def _slot_problem(one: Quantity, known: Read, facts: Facts) -> Problem | None:
    shown = facts.shown
    if one.slot not in facts.slots:
        return "no such slot", f"Known slots: {', '.join(sorted(shown))}"
    if one.slot not in shown:
        return "the assessment has no value for this slot", ""
    role, touching = role_of(one, known)
    if role == words().facts[one.slot].otherwise:
        return None  # "a loan of {counteroffer_amount}"
    if role and role != one.slot and _clash(one, role, touching, known.roles):
        return f"stands where the text speaks of {_plain(role)}", f"{one.slot} = {shown[one.slot]}"
    if _operator(one, known.sentence) in ("<", ">") and one.unit != "money":
        return "the fact is neither above nor below itself", f"{one.slot} = {shown[one.slot]}"
    return None


def _has_noun(name: str) -> bool:
    """Whether a count carries its noun: ``5 inquiries``, not ``612``."""
    entry = words().facts.get(name)
    return entry is None or not entry.bare


def _clash(one: Quantity, role: str, touching: bool, roles: Sequence[re.Match[str]]) -> bool:
    """Whether a role that the words name excludes the figure's own."""
    if touching:
        # a count carries its own noun, so words that only follow or precede it name something else
        return one.unit != "bare" or not _has_noun(one.slot) or not _has_noun(role)
    named = {match.lastgroup for match in roles}
    return (
        role in words().units[one.unit]
        and one.slot not in named
        and one.unit != "bare"
        and one.unit != "money"
    )


def _figure_problem(one: Quantity, known: Read, facts: Facts) -> Problem | None:
    role, touching = role_of(one, known)
    if counted := _COUNT_OF_FACTORS.match(known.sentence[one.end :]):
        return _factor_count_problem(one, counted[0], facts.counts)
    if _is_limit(one, known.sentence):
        return _limit_problem(one, role, facts)
    if _is_constant(one, known) or _counts(one, known, facts):
        return None
    if (
        not touching
        and one.unit == "bare"
        and one.value <= _SMALL
        and _OTHER_NOUN.match(known.sentence, one.end)
    ):
        return None
    if one.unit == "days":
        return "no such period is a fact", ""
    return _fact_problem(one, role, touching, known, facts)


def _counts(one: Quantity, known: Read, facts: Facts) -> bool:
    """Whether a figure counts or numbers the factors: "all four", "reason two"."""
    return one.value <= max(facts.counts) and bool(_ALL.search(known.sentence[: one.start]))


def _fact_problem(one: Quantity, role: str, touching: bool, known: Read, facts: Facts) -> Problem | None:
    candidates = words().units[one.unit]
    if one.unit == "bare" and one.value >= 1000:
        candidates += words().units["money"]
    if role not in facts.values and role in words().facts:
        role = words().facts[role].otherwise or role  # "we can lend you the $25,000"
    if touching and role not in candidates and _agrees_elsewhere(one, known, candidates, facts):
        return None
    if role and (role in candidates or touching):
        if role not in candidates:
            return f"a figure of this kind cannot be the {_plain(role)}", _stated(role, facts.shown)
        candidates = (role,)
    operator = _operator(one, known.sentence)
    if any(name in facts.values and _agrees(one, facts.values[name], operator, name) for name in candidates):
        return None
    if len(candidates) == 1:
        return f"not the {_plain(candidates[0])}", _stated(candidates[0], facts.shown)
    stated = [_stated(name, facts.shown) for name in candidates if name in facts.shown]
    return "no fact of the assessment has this value", "; ".join(stated)


def _agrees_elsewhere(one: Quantity, known: Read, candidates: tuple[str, ...], facts: Facts) -> bool:
    """Whether another fact that the sentence names has the value: "three debts were sent to collection"."""
    named = {match.lastgroup or "" for match in known.roles} & set(candidates)
    return any(name in facts.values and _agrees(one, facts.values[name], "", name) for name in named)


def _agrees(one: Quantity, fact: float, operator: str, name: str) -> bool:
    if one.high > one.value:
        return one.value <= fact <= one.high
    equal = _same_time(one, fact) if one.unit == "months" else _rounds_to(one, fact)
    if equal and words().facts[name].bound:
        return True
    compare = {
        "": equal,
        "about": equal or abs(fact - one.value) <= _APPROXIMATE * max(abs(fact), 1.0),
        ">": fact > one.value,
        ">=": fact >= one.value,
        "<": fact < one.value,
        "<=": fact <= one.value,
    }
    return compare[operator]


def _rounds_to(one: Quantity, fact: float) -> bool:
    gap = abs(fact - one.value)
    return gap <= one.precision / 2 if one.unit != "money" else gap < one.precision / 2


def _same_time(one: Quantity, fact: float) -> bool:
    return fact == one.value if one.precision < 12 else fact // 12 * 12 == one.value


def _operator(one: Quantity, sentence: str) -> str:
    before = sentence[max(0, one.start - 24) : one.start]
    if one.slot and words().facts[one.slot].spans and before.endswith("over "):
        return ""
    return next((name for name, pattern in _OPERATORS if pattern.search(before)), "")


def _is_limit(one: Quantity, sentence: str) -> bool:
    return bool(
        _LIMIT_BEFORE.search(sentence[max(0, one.start - 60) : one.start])
        or _LIMIT_AFTER.match(sentence[one.end : one.end + 40])
    )


def _limit_problem(one: Quantity, role: str, facts: Facts) -> Problem | None:
    if role not in facts.limits:
        role = next((name for name in words().units[one.unit] if name in facts.limits), role)
    limit, shown = facts.limits.get(role), facts.shown
    if not limit or one.value not in (limit.low, limit.high):
        return "no such limit is a fact of the assessment", _stated(role, shown) if role in shown else ""
    if role in facts.values and limit.met(facts.values[role]):
        return f"the {_plain(role)} is within this limit", _stated(role, shown)
    return None


def _factor_count_problem(one: Quantity, noun: str, counts: frozenset[int]) -> Problem | None:
    if one.value in counts or "item" in noun or "other" in noun:
        return None
    return "not the number of factors", f"number of factors: {', '.join(map(str, sorted(counts)))}"


def _is_constant(one: Quantity, known: Read) -> bool:
    """Figures of the law and of the fields' definitions: windows, 30 days late, the score's range."""
    before, after = known.sentence[: one.start], known.sentence[one.end :]
    if _COUNT_OF_FACTORS.match(after) or _CITATION.search(before):
        return True
    if one.unit == "days":
        return one.value in _ALLOWED_DAYS
    if (one.value, one.high) == _SCORE_RANGE or (one.value <= 9 and _is_list_number(before, after)):
        return True
    if one.unit != "months" or one.value not in words().windows.values():
        return False
    lasting = _FOR.search(before) and _WINDOWED.search(known.sentence)
    if not lasting and not _PAST.search(before) and not _WINDOW.match(after):
        return False
    named = {match.lastgroup for match in known.roles} | {quantity.slot for quantity in known.figures}
    windows = {months for name, months in words().windows.items() if name in named}
    return not windows or one.value in windows


def _is_list_number(before: str, after: str) -> bool:
    """Whether a figure numbers an item: ``1.`` or ``1)`` at the start, ``(1)`` anywhere."""
    starts = before.strip() in ("", "(") and bool(re.match(r"[.):]\s", after))
    return starts or (before.endswith("(") and after.startswith(")"))


def _plain(name: str) -> str:
    return re.sub(r"_(?:\d+m|months)$", "", name).replace("_", " ")


def _stated(name: str, shown: Mapping[str, str]) -> str:
    return f"{name} = {shown.get(name, 'not known')}"
