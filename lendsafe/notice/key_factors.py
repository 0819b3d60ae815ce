"""Key factors of a credit score, checked: words of a consumer report, and nothing else.

They come from outside, in whatever words a provider uses, and go into a letter. So they are taken from the
provider's own list in the lender's file, or consist of reviewed words alone (``key_factors.txt``).
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files

MOST, MOST_WITH_INQUIRIES = 4, 5  # 15 USC 1681g(f)(1)(C), (f)(9)

_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_SHAPE = re.compile(r"[A-Za-z0-9 ,.'/()&-]{3,120}")
_NUMBER = re.compile(r"\d+")
_MOST_DIGITS = 2  # months or years of a window
_PROHIBITED = re.compile(
    r"\b(race|racial|colou?r|religio\w*|ethnic\w*|national(ity)? origin|nationality|sex|sexual|gender|marital"
    r"|married|divorced?|widow\w*|pregnan\w*|child(ren)?|age|elderly|disab\w*|public assistance|welfare"
    r"|alimony|immigra\w*|citizen\w*|zip code|neighbou?rhood)\b",
    re.IGNORECASE,
)
_NOT_A_FACTOR = re.compile(
    r"\b(congratulations|approved?|guarantee\w*|promise\w*|call|click|visit|apply|www|http\w*|free)\b|\d{5}|[<>{}@]",
    re.IGNORECASE,
)


def number_allowed(factors: Sequence[str]) -> int:
    """Four, or five if one of them is the number of inquiries."""
    return MOST_WITH_INQUIRIES if any("inquir" in one.lower() for one in factors) else MOST


def problems(factors: Sequence[str], listed: Sequence[str] = ()) -> Iterator[str]:
    """What is wrong with the key factors of one score, in sentences that repeat none of them.

    Args:
        factors: In order of importance.
        listed: The provider's list; if there is one, only its entries are right.
    """
    if len(factors) > (most := number_allowed(factors)):
        yield f"{len(factors)} key factors are stated; {most} are allowed"
    if len({_plain(one) for one in factors}) < len(factors):
        yield "a key factor is stated twice"
    for place, factor in enumerate(factors, start=1):
        if listed and factor not in listed:
            yield f"key factor {place} is not in the list of [score] key_factors"
        elif not listed and (problem := objection(factor) or _unknown(factor)):
            yield f"key factor {place} {problem}"


def objection(factor: str) -> str:
    """Why a text cannot be a key factor whoever lists it; empty if it can."""
    if _PROHIBITED.search(factor):
        return "names a prohibited basis (12 CFR 1002.2(z))"
    if _NOT_A_FACTOR.search(factor) or not _SHAPE.fullmatch(factor):
        return "is no factor of a score"
    return ""


def _unknown(factor: str) -> str:
    words = [word.lower() for word in _WORD.findall(factor)]
    long = any(len(number) > _MOST_DIGITS for number in _NUMBER.findall(factor))
    if not words or long or any(word not in reviewed_words() for word in words):
        return "has words that were not reviewed; list it under [score] key_factors, or mend it"
    return ""


@cache
def reviewed_words() -> frozenset[str]:
    """The words of which a key factor that no list names may consist."""
    text = (files("lendsafe.notice") / "key_factors.txt").read_text("utf-8")
    return frozenset(word for line in text.splitlines() if not line.startswith("#") for word in line.split())


def _plain(factor: str) -> str:
    return " ".join(_WORD.findall(factor.lower()))
