"""A narrative as sentences that can be replaced, moved and removed; figures as people write them."""

import re
from dataclasses import dataclass
from typing import Any

from lendsafe.product import consumer, shown
from lendsafe.records import Assessment

_GAP = re.compile(r"(?<=[.!?])(\s+)(?=[\"“(A-Z{$0-9<])")
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]

# field -> unit
UNITS: dict[str, str] = {
    "loan_amount": "USD",
    "counteroffer_amount": "USD",
    "annual_income": "USD",
    "debt_to_income": "percent",
    "revolving_utilization": "percent",
    "employment_months": "months",
    "oldest_account_months": "months",
    "loan_term_months": "months",
    "credit_score": "points",
    "delinquencies_24m": "count",
    "collections": "count",
    "bankruptcies": "count",
    "inquiries_6m": "count",
    "open_accounts": "count",
    "accounts_opened_24m": "count",
}

# counted thing -> how its noun begins, for figures that carry an adjective ("three recent inquiries")
_NOUNS: dict[str, str] = {
    "delinquencies_24m": r"(?:late|missed|past[- ]due|overdue)",
    "collections": r"(?:collection|judgment)",
    "bankruptcies": r"bankruptc",
    "inquiries_6m": r"inquir",
    "open_accounts": r"open accounts?",
    "accounts_opened_24m": r"(?:new accounts?|accounts? opened)",
}


@dataclass(frozen=True, slots=True)
class Prose:
    """Sentences and the white space between them; ``len(gaps) == len(sentences) - 1``."""

    sentences: tuple[str, ...]
    gaps: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Prose":
        parts = _GAP.split(text.strip())
        return cls(tuple(parts[::2]), tuple(parts[1::2]))

    def __str__(self) -> str:
        return "".join(s + g for s, g in zip(self.sentences, (*self.gaps, ""), strict=True))

    def replace(self, index: int, sentence: str) -> "Prose":
        return Prose((*self.sentences[:index], sentence, *self.sentences[index + 1 :]), self.gaps)

    def insert(self, index: int, sentence: str) -> "Prose":
        """``sentence`` in front of the one at ``index``, or at the end."""
        sentences = (*self.sentences[:index], sentence, *self.sentences[index:])
        cut = max(index - 1, 0)
        return Prose(sentences, (*self.gaps[:cut], " ", *self.gaps[cut:]))

    def without(self, indices: set[int]) -> "Prose":
        kept = [i for i in range(len(self.sentences)) if i not in indices]
        gaps = tuple(self.gaps[i - 1] for i in kept[1:])
        return Prose(tuple(self.sentences[i] for i in kept), gaps)

    def ordered(self, order: list[int]) -> "Prose":
        return Prose(tuple(self.sentences[i] for i in order), self.gaps)

    def matching(self, pattern: re.Pattern[str]) -> list[int]:
        return [i for i, sentence in enumerate(self.sentences) if pattern.search(sentence)]


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def value_of(assessment: Assessment, field: str) -> Any:
    """The value of a slot's field, or None."""
    own = field in assessment.applicant.product.fields
    return assessment.applicant[field] if own else getattr(assessment, field)


def spoken(number: int) -> str:
    """A whole number from 0 to 999,999 in words: ``six hundred and twelve``."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{_ONES[hundreds]} hundred" + (f" and {spoken(rest)}" if rest else "")
    thousands, rest = divmod(number, 1000)
    return f"{spoken(thousands)} thousand" + (
        f" {'and ' if rest < 100 else ''}{spoken(rest)}" if rest else ""
    )


def surfaces(field: str, value: float) -> list[str]:
    """Ways to write a figure with its unit, the slot's own format first."""
    whole = round(value)
    meaning = consumer().fields["loan_amount" if field == "counteroffer_amount" else field]
    own = shown(meaning, value if UNITS[field] in ("USD", "percent") else whole)
    unit = UNITS[field]
    if unit == "USD":
        short = [f"${whole / 1000:g}k", f"${whole / 1000:g}K"] if whole % 100 == 0 and whole >= 1000 else []
        return [own, f"{whole:,} dollars", f"${whole}", f"{spoken(whole)} dollars", f"${whole:,}.00", *short]
    if unit == "percent":
        rounded = [f"{whole}%", f"{whole} percent", f"{spoken(whole)} percent"]
        return [own, own.replace("%", " percent"), own.replace("%", " per cent"), *rounded]
    if unit == "points":
        return [own, spoken(whole), spoken(whole).replace(" and ", " ")]
    if unit == "months":
        more = [f"{whole} months", f"{spoken(whole)} months"] if whole != 1 else []
        return list(dict.fromkeys([own, *more]))
    return [own, own.replace(str(whole), spoken(whole), 1)]


def figures(text: str, field: str, value: float) -> list[re.Match[str]]:
    """Where ``text`` states this value of ``field``; for a count, the number with or without its noun.

    A group ``number`` spans what has to change.
    """
    edge, end = r"(?<![\w$.,-])", r"(?![\w%]|[.,]\d|-\w)"
    written = "|".join(re.escape(one) for one in sorted(surfaces(field, value), key=len, reverse=True))
    found = list(re.finditer(f"{edge}(?P<number>{written}){end}", text, re.IGNORECASE))
    if not found and UNITS[field] == "count":
        number = f"{value:g}|{spoken(int(value))}"
        loose = rf"{edge}(?P<number>{number})(?=(?:\s[a-z]+){{0,2}}\s{_NOUNS[field]})"
        found = list(re.finditer(loose, text, re.IGNORECASE))
    return found
