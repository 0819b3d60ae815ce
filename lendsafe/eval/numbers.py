"""Every figure of a text with its role: 612 is the *score*, 43 percent the *debt-to-income ratio*.

Digits and words, ``$25k``, percentages, durations, ranges and comparisons are read; slots count
as figures whose role is their name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lendsafe import slots
from lendsafe.records import Assessment, Finding

Unit = Literal["money", "percent", "months", "days", "bare"]


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound of the lender's policy that a text may cite, such as a minimum score of 640."""

    low: float | None = None
    high: float | None = None


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


UNIT_FACTS: dict[Unit, tuple[str, ...]] = {
    "money": ("loan_amount", "annual_income", "counteroffer_amount"),
    "percent": ("debt_to_income", "revolving_utilization"),
    "months": ("employment_months", "oldest_account_months", "loan_term_months"),
    "days": (),
    "bare": ("credit_score", "delinquencies_24m", "inquiries_6m", "collections", "bankruptcies",
             "open_accounts", "accounts_opened_24m"),
}  # fmt: skip

# words that name a fact, most specific first
_ROLES: dict[str, str] = {
    "counteroffer_amount": r"instead|counter[ -]?offer\w*|(?:smaller|lower|lesser|reduced) (?:loan|amount|sum)|we can (?:offer|lend|approve)",
    "loan_term_months": r"terms?\b(?! of)|repay\w* over|loan period|repayment period",
    "debt_to_income": r"debt[ -]to[ -]income(?: ratio)?|\bdti\b|obligations?|debts?(?: payments?)?|debt load|commitments|(?:share|percent|part|portion|%) of (?:\w+ ){0,3}?(?:income|pay|earnings|what you earn)|owed?\b",
    "revolving_utilization": r"utili[sz]\w+|revolving(?: \w+)?|(?:credit )?cards?(?: balances?| limits?| use| usage)?|balances?|credit (?:limits?|lines?)|available credit|\blimits?",
    "oldest_account_months": r"oldest (?:\w+ )?(?:accounts?|card|loan|line)|(?:credit|borrowing) (?:history|experience|record|file|age)|history|first account|(?:using|used|had|with|managing) credit",
    "accounts_opened_24m": r"(?:new|newly opened|recently opened|recent) (?:\w+ )?(?:accounts?|cards?|lines?)|accounts? (?:\w+ ){0,3}?opened|opened (?:\w+ ){0,2}?accounts?|opened",
    "open_accounts": r"open (?:credit )?accounts?|accounts? (?:\w+ )?open\b",
    "delinquencies_24m": r"(?:late|missed|overdue|past[ -]due|delinquent|slow) (?:\w+ )?(?:payments?|accounts?|bills?|instal?lments?)|delinquenc\w+|payments? (?:\w+ ){0,4}?(?:late|missed)|(?:paid|pay) late|late marks?|times late",
    "inquiries_6m": r"(?:credit )?inquir\w+|enquir\w+|credit (?:checks?|pulls?|searches|applications)|hard (?:checks?|pulls?)|(?:applications|requests) for (?:\w+ )?(?:credit|loans?)|applied for|checked your credit",
    "collections": r"collections?|judge?ments?|collectors?",
    "bankruptcies": r"bankrupt\w*",
    "credit_score": r"(?:credit |fico |bureau )?scores?\b|\bfico\b",
    "annual_income": r"(?:annual |yearly |gross |stated )?incomes?|earnings|\bearn(?:s|ing)?\b|salary|wages|a year|per year|per annum|annually|yearly|you make",
    "employment_months": r"(?:present |current |same )?(?:job|employer|employment|position|workplace|role)|tenure|work(?:ed|ing)?\b|employed|on the job",
    "loan_amount": r"loans?|requests?|requested|asked(?: us)? for|amount|borrow\w*|credit of|applied for|apply for|application|financing|lend",
}  # fmt: skip
_PURPOSE = re.compile(
    r"debt[ -]consolidation|consolidat\w+ (?:\w+ ){0,3}?(?:debts?|balances|loans?|cards?|bills|accounts?)|pay(?:ing)? off (?:\w+ ){0,2}?(?:debts?|cards?|balances)"
)
_ROLE = re.compile("|".join(f"(?P<{name}>{words})" for name, words in _ROLES.items()))

_ONES = {word: value for value, word in enumerate(
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"])}  # fmt: skip
_TENS = {
    word: 10 * value
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2
    )
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_NUMBER_WORD = "|".join([*_TENS, *sorted(_ONES, key=len, reverse=True), *_SCALES])
_WORDS = rf"\b(?:a (?:hundred|thousand|million)|{_NUMBER_WORD})\b(?:(?:[\s-]+|\s+and\s+)(?:{_NUMBER_WORD})\b)*(?: point (?:(?:{_NUMBER_WORD})\s?)+)?"
_NUMBER = re.compile(
    rf"(?P<sign>\$\s?|usd\s)?(?:(?<![\w.])(?P<digits>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d*\.?\d+)|(?P<words>{_WORDS}))"
    r"(?P<scale>\s?k\b|\s(?:thousand|million)\b)?"
    r"(?P<unit>\s?%|[\s-]?(?:percent(?:age points?)?|per[\s-]cent)\b|\s(?:dollars|bucks|usd)\b|[\s-](?P<time>years?|yrs?|months?|mos?|weeks?|days?)\b)?"
)
_LEAD = (
    r"(?:\s|ratio|level|rate|figure|number|total|now|currently|presently|of|is|was|are|were|at|stands?|stood|sits?|reached|equals?|came|comes|"
    r"to|only|just|about|around|roughly|nearly|almost|approximately|some|over|under|above|below|more than|less than|at least|"
    r"a|an|the|this|that|your|recent|new|in|on|for|file|[:(=])*"
)
_CONNECT = re.compile(rf"^{_LEAD}$")
_FOLLOW = re.compile(
    r"^(?:\s|-|of|in|on|recent|credit|new|open|such|more|or|a|an|the|your|this|that|total|as|for|[)%])*$"
)
_PAST = re.compile(
    r"(?:\b(?:past|last|previous|prior|preceding|recent|latest|most recent|within|in|over|during)\s+(?:the\s+)?(?:past\s+|last\s+)?)$"
)
_LIMIT_WORD = r"(?:minimum|maximum|limits?|thresholds?|cut[ -]?offs?|ceiling|floor|requirements?|benchmark|guideline|cap|target|standard|norm)"
_LIMIT_BEFORE = re.compile(
    rf"(?:\b{_LIMIT_WORD}(?:\s+(?:\w+\s+)?(?:score|ratio|level|income))?(?:\s+(?:of|is|was|at|stands at|set at))?|\brequire[sd]?|\bmust be|\bneed(?:s|ed)?(?: at least)?|\bwe (?:want|look for|prefer|accept|allow|ask for)(?: at least| at most| up to)?)[\s:(]*(?:at least |at most |up to |about )?$"
)
_LIMIT_AFTER = re.compile(
    rf"^[\s-]*(?:point |score |credit |dti |ratio |percent )?{_LIMIT_WORD}\b|^\s*(?:or (?:more|less|higher|lower|better|above|below|under|over) (?:is|are) (?:required|needed))|^\s*(?:that )?(?:we|is|are) (?:require|need|want|look for|accept|allow|ask)"
)
_OPERATORS = (
    ("about", re.compile(r"\b(?:about|around|roughly|approximately|nearly|almost|close to|some|just over|just under|a little (?:over|under|more than|less than)|well over|well under)\s*$")),
    (">", re.compile(r"\b(?:more than|over|above|exceed(?:s|ed|ing)?|greater than|higher than|upwards? of|north of|beyond|in excess of)\s*$")),
    (">=", re.compile(r"\b(?:at least|no (?:less|fewer) than|a minimum of|not less than)\s*$")),
    ("<", re.compile(r"\b(?:less than|under|below|fewer than|lower than|short of|shy of)\s*$")),
    ("<=", re.compile(r"\b(?:at most|up to|no more than|not more than|a maximum of)\s*$")),
)  # fmt: skip
_RANGE = re.compile(r"\s*(?:-|\u2013|to|and)\s*$")
_COUNT_OF_FACTORS = re.compile(
    r"^\s+(?:main |principal |key |chief |specific |separate |other |adverse |positive |favou?rable |such |clear )*(?:reasons?|factors?|strengths?|points?|things|concerns?|issues?|considerations?|grounds?|findings?|items?)\b"
)
_CLAUSE_END = re.compile(r"[;:\u2014]|,(?!\d)|\b(?:but|while|and|which|although|though|because|so)\b")
_PRONOUN = re.compile(
    r"one(?! (?:late|missed|inquiry|credit|collection|judge?ment|bankruptcy|new|open|account|recent|hard|reason|factor|strength))"
)
WINDOWS = {"inquiries_6m": 6.0, "delinquencies_24m": 24.0, "accounts_opened_24m": 24.0}
_ALLOWED_DAYS = (30.0, 60.0)  # a payment counts as late from day 30; rights run for 60 days
_SCORE_RANGE = (300.0, 850.0)
_APPROXIMATE = 0.05


def quantities(sentence: str) -> list[Quantity]:
    """Figures and slots of a lower-case sentence, in order; parts of one duration or range are joined."""
    plain = slots.SLOT.sub(lambda match: "{" + "q" * len(match[1]) + "}", sentence)
    found = [one for match in _NUMBER.finditer(plain) if (one := _quantity(match, plain))]
    found += [
        Quantity(match.start(), match.end(), 0.0, 0.0, _slot_unit(match[1]), 0.0, match[1])
        for match in slots.SLOT.finditer(sentence)
    ]
    return _joined(sorted(found, key=lambda one: one.start), plain)


def check_numbers(
    sentence: str, assessment: Assessment, limits: Mapping[str, Limit], *, slotted: bool
) -> list[Finding]:
    """G2 for one lower-case sentence; offsets are within it.

    Args:
        sentence: Lower-case text of one sentence.
        assessment: The facts.
        limits: Policy bounds that the text may cite, by fact.
        slotted: Whether facts have to be slots, so that a written figure is itself a finding.
    """
    facts = _facts(assessment)
    sentence = _PURPOSE.sub(lambda match: " " * len(match[0]), sentence)
    found = quantities(sentence)
    if not found:
        return []
    shown = slots.facts(assessment)
    roles = list(_ROLE.finditer(slots.SLOT.sub(lambda m: "{" + "q" * len(m[1]) + "}", sentence)))
    problems = []
    for one in found:
        problem = (
            _slot_problem(one, sentence, roles, shown)
            if one.slot
            else _figure_problem(one, sentence, roles, facts, shown, limits, assessment, found)
        )
        if not problem and slotted and not one.slot and not _is_constant(one, sentence, roles, found):
            problem = ("a figure is written out; name the slot instead", "")
        if problem:
            problems.append(
                Finding(
                    "G2", _sentence(problem[0], sentence[one.start : one.end]), one.start, one.end, problem[1]
                )
            )
    return problems


def read(assessment: Assessment, sentence: str) -> list[tuple[Quantity, bool]]:
    """Figures and slots of a lower-case sentence, each with whether it is right (numeric accuracy)."""
    wrong = {(one.start, one.end) for one in check_numbers(sentence, assessment, {}, slotted=False)}
    return [(one, (one.start, one.end) not in wrong) for one in quantities(sentence)]


def _sentence(problem: str, shown: str) -> str:
    return f"'{shown}': {problem}."


def _facts(assessment: Assessment) -> dict[str, float]:
    names = {name for group in UNIT_FACTS.values() for name in group} - {"counteroffer_amount"}
    values = {name: getattr(assessment.applicant, name) for name in names}
    values["counteroffer_amount"] = assessment.counteroffer_amount
    return {name: float(value) for name, value in values.items() if value is not None}


def _quantity(match: re.Match[str], plain: str) -> Quantity | None:
    text = match["digits"] or match["words"]
    alone = text == "one" and not match["unit"] and not match["sign"]
    if match["words"] and alone and _PRONOUN.match(plain, match.start()):
        return None
    if match["digits"] and plain[match.end() : match.end() + 1].isalpha():
        return None  # an ordinal such as 1st
    value = float(text.replace(",", "")) if match["digits"] else _spoken(text)
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
    return ("percent", 1.0) if unit else ("bare", 1.0)


def _spoken(text: str) -> float:
    whole, _, fraction = text.partition(" point ")
    total = current = 0
    for word in re.split(r"[\s-]+", whole):
        if word in _SCALES and word != "hundred":
            total, current = total + max(current, 1) * _SCALES[word], 0
        elif word == "hundred":
            current = max(current, 1) * 100
        elif word in _TENS or word in _ONES:
            tail = _TENS.get(word, _ONES.get(word, 0))
            # "six twelve" and "seven forty" are how people say three-digit scores
            current = current * 100 + tail if 0 < current < 10 and tail >= 10 else current + tail
    decimals = "".join(str(_ONES.get(word, 0)) for word in fraction.split())
    return float(total + current) + (float(f"0.{decimals}") if decimals else 0.0)


def _slot_unit(name: str) -> Unit:
    return next((unit for unit, names in UNIT_FACTS.items() if name in names), "bare")


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
                result[-1] = Quantity(last.start, one.end, last.value, one.value, one.unit, one.precision)
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


def _role(one: Quantity, sentence: str, roles: list[re.Match[str]]) -> tuple[str, bool]:
    """The fact that the words around a figure name, and whether they touch it."""
    role, touching = _nearest_role(one, sentence, roles)
    # "30% of your income": a share of the income is the debt-to-income ratio
    return ("debt_to_income" if role == "annual_income" and one.unit == "percent" else role), touching


def _nearest_role(one: Quantity, sentence: str, roles: list[re.Match[str]]) -> tuple[str, bool]:
    before = [match for match in roles if match.end() <= one.start]
    after = [match for match in roles if match.start() >= one.end]
    overlapping = [match for match in roles if match.start() < one.end < match.end()]
    right = next(iter(overlapping or after), None)
    touching_right = right is not None and _FOLLOW.match(sentence[one.end : max(one.end, right.start())])
    touching_left = before and _CONNECT.match(sentence[before[-1].end() : one.start])
    if right is not None and touching_right and (one.unit == "bare" or not touching_left):
        return right.lastgroup or "", True
    if touching_left:
        return before[-1].lastgroup or "", True
    candidates = [match for match in roles if match.lastgroup in UNIT_FACTS[one.unit]]
    if not candidates:
        return "", False
    return min(candidates, key=lambda match: _distance(one, match, sentence)).lastgroup or "", False


def _distance(one: Quantity, match: re.Match[str], sentence: str) -> float:
    left = match.end() <= one.start
    between = sentence[match.end() : one.start] if left else sentence[one.end : match.start()]
    return len(between) + 200 * len(_CLAUSE_END.findall(between))


def _slot_problem(
    one: Quantity, sentence: str, roles: list[re.Match[str]], shown: Mapping[str, str]
) -> tuple[str, str] | None:
    if one.slot not in slots.FORMATS:
        return "no such slot", f"Known slots: {', '.join(sorted(shown))}"
    if one.slot not in shown:
        return "the assessment has no value for this slot", ""
    role, touching = _role(one, sentence, roles)
    if role and role != one.slot and _clash(one, role, touching, roles):
        return f"stands where the text speaks of {_plain(role)}", f"{one.slot} = {shown[one.slot]}"
    operator = _operator(one, sentence)
    if operator in ("<", ">") and one.unit != "money":
        return "the fact is neither above nor below itself", f"{one.slot} = {shown[one.slot]}"
    return None


def _clash(one: Quantity, role: str, touching: bool, roles: list[re.Match[str]]) -> bool:
    """Whether a role that the words name excludes the figure's own."""
    if touching:
        # a count carries its own noun, so words that only follow or precede it name something else
        return one.unit != "bare" or one.slot == "credit_score" or role == "credit_score"
    named = {match.lastgroup for match in roles}
    return (
        role in UNIT_FACTS[one.unit] and one.slot not in named and one.unit != "bare" and one.unit != "money"
    )


def _figure_problem(
    one: Quantity,
    sentence: str,
    roles: list[re.Match[str]],
    facts: Mapping[str, float],
    shown: Mapping[str, str],
    limits: Mapping[str, Limit],
    assessment: Assessment,
    found: list[Quantity],
) -> tuple[str, str] | None:
    role, touching = _role(one, sentence, roles)
    if counted := _COUNT_OF_FACTORS.match(sentence[one.end :]):
        return _factor_count_problem(one, counted[0], assessment)
    if _is_limit(one, sentence):
        return _limit_problem(one, role, facts, shown, limits)
    if _is_constant(one, sentence, roles, found):
        return None
    if one.unit == "days":
        return "no such period is a fact", ""
    return _fact_problem(one, role, touching, sentence, facts, shown)


def _fact_problem(
    one: Quantity,
    role: str,
    touching: bool,
    sentence: str,
    facts: Mapping[str, float],
    shown: Mapping[str, str],
) -> tuple[str, str] | None:
    candidates = UNIT_FACTS[one.unit]
    if one.unit == "bare" and one.value >= 1000:
        candidates += UNIT_FACTS["money"]
    if role and (role in candidates or touching):
        if role not in candidates:
            return f"a figure of this kind cannot be the {_plain(role)}", _stated(role, shown)
        candidates = (role,)
    operator = _operator(one, sentence)
    if any(name in facts and _agrees(one, facts[name], operator, name) for name in candidates):
        return None
    if len(candidates) == 1:
        return f"not the {_plain(candidates[0])}", _stated(candidates[0], shown)
    return "no fact of the assessment has this value", "; ".join(
        _stated(name, shown) for name in candidates if name in shown
    )


def _agrees(one: Quantity, fact: float, operator: str, name: str) -> bool:
    if one.high > one.value:
        return one.value <= fact <= one.high
    equal = abs(fact - one.value) <= one.precision / 2 if one.unit != "months" else _same_time(one, fact)
    if name in ("loan_amount", "counteroffer_amount") and equal:
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


def _same_time(one: Quantity, fact: float) -> bool:
    return fact == one.value if one.precision < 12 else fact // 12 * 12 == one.value


def _operator(one: Quantity, sentence: str) -> str:
    before = sentence[max(0, one.start - 24) : one.start]
    return next((name for name, pattern in _OPERATORS if pattern.search(before)), "")


def _is_limit(one: Quantity, sentence: str) -> bool:
    return bool(
        _LIMIT_BEFORE.search(sentence[max(0, one.start - 60) : one.start])
        or _LIMIT_AFTER.match(sentence[one.end : one.end + 40])
    )


def _limit_problem(
    one: Quantity,
    role: str,
    facts: Mapping[str, float],
    shown: Mapping[str, str],
    limits: Mapping[str, Limit],
) -> tuple[str, str] | None:
    role = role if role in limits else next((name for name in UNIT_FACTS[one.unit] if name in limits), role)
    limit = limits.get(role)
    bounds = {limit.low, limit.high} - {None} if limit else set()
    if not limit or one.value not in bounds:
        return "no such limit is a fact of the assessment", _stated(role, shown) if role in shown else ""
    fact = facts.get(role)
    if (
        fact is not None
        and (limit.low is None or fact >= limit.low)
        and (limit.high is None or fact <= limit.high)
    ):
        return f"the {_plain(role)} is within this limit", _stated(role, shown)
    return None


def _factor_count_problem(one: Quantity, noun: str, assessment: Assessment) -> tuple[str, str] | None:
    reasons, strengths = len(assessment.reasons), len(assessment.strengths)
    right = {reasons} if assessment.decision != "approved" else {reasons, strengths, reasons + strengths}
    if one.value in right or "item" in noun or "other" in noun:
        return None
    return "not the number of factors", f"{reasons} reasons, {strengths} strengths"


def _is_constant(one: Quantity, sentence: str, roles: list[re.Match[str]], found: list[Quantity]) -> bool:
    """Figures of the law and of the fields' definitions: windows, 30 days late, the score's range."""
    if _COUNT_OF_FACTORS.match(sentence[one.end :]):
        return True
    if one.unit == "days":
        return one.value in _ALLOWED_DAYS
    if (one.value, one.high) == _SCORE_RANGE:
        return True
    if (
        re.fullmatch(r"\s*\(?", sentence[: one.start])
        and re.match(r"[.)]\s", sentence[one.end :])
        and one.value <= 9
    ):
        return True  # number of a list item
    if (
        sentence[one.start - 1 : one.start] == "("
        and sentence[one.end : one.end + 1] == ")"
        and one.value <= 9
    ):
        return True
    if (
        one.unit != "months"
        or one.value not in (6.0, 24.0)
        or not (_PAST.search(sentence[: one.start]) or re.match(r"\s*(?:period|window)", sentence[one.end :]))
    ):
        return False
    named = {match.lastgroup for match in roles} | {quantity.slot for quantity in found}
    windows = {months for name, months in WINDOWS.items() if name in named}
    return not windows or one.value in windows


def _plain(name: str) -> str:
    return name.replace("_24m", "").replace("_6m", "").replace("_months", "").replace("_", " ")


def _stated(name: str, shown: Mapping[str, str]) -> str:
    return f"{name} = {shown.get(name, 'not known')}"
