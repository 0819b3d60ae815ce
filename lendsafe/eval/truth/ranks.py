"""What a text says about which factor weighed more: "the leading factor was", "came second to"."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lendsafe.eval.truth.mentions import Mention

_NOUN = (
    r"(?:reason|factor|strength|concern|point|issue|ground|consideration|weakness|problem|item|plus|drawback)"
)
_WEIGH = r"(?:count|weigh|matter|influenc|affect|hurt|help)(?:s|ed)?(?: (?:for|in|with|us|it|you|\w+ly)){0,2}"
_FIRST = re.compile(
    rf"\bthe (?:single )?(?:leading|main|chief|principal|primary|biggest|largest|strongest|heaviest|weightiest|greatest|top|number one|foremost|first and main) {_NOUN}\b"
    rf"|\b(?:most|more) (?:important|weighty|decisive|serious) (?:\w+ )?of (?:all|these|them)|(?<!second )(?<!third )(?<!fourth )(?<!next )\bmost (?:important|weighty|decisive|serious)(?: \w+)? {_NOUN}\b|{_WEIGH} (?:the )?most\b"
    r"|\bmost of all\b|\b(?:weightiest|heaviest|biggest|strongest|gravest|greatest) (?:\w+ )?(?:of (?:all|these|them|the)|by far)\b|\b(?:above|before) (?:all|everything)\b|\b(?:at|on) the (?:very )?top of (?:the|our) list|\b(?:came|comes|ranks?|ranked|stood|stands) (?:first|highest|foremost)\b"
    r"|\bfirst (?:in|by) (?:weight|importance|order)|\bnumber one\b|\bfirst and foremost\b|\bmore than (?:anything|any other|all (?:the )?(?:others?|rest))\b|\boutweighed (?:everything|all)\b"
)
_LAST = re.compile(
    rf"\b(?:least|less) (?:important|weighty|decisive|serious)(?: \w+)? {_NOUN}\b|\bthe (?:smallest|least|lightest|slightest|weakest|minor|last and least) (?:part|role|weight|share|{_NOUN})\b|\b(?:least|less) (?:important|weighty) of (?:all|these|them)"
    rf"|\bleast of all\b|{_WEIGH} (?:the )?least\b|\b(?:at|on) the (?:very )?bottom of (?:the|our) list|\b(?:came|ranks?|ranked|stood|stands) (?:last|lowest)\b|\bless than (?:anything|any other|all (?:the )?(?:others?|rest))\b"
)
_OVER = re.compile(
    rf"\b{_WEIGH} more (?:\w+ )?than\b|\bmore (?:important|weighty|decisive|serious) (?:\w+ )?than\b|\boutranked\b|\bahead of\b|\b(?:came|comes?|ranks?|ranked|stood|placed|put) (?:above|before|over)\b|\b(?:heavier|bigger|weightier|stronger) (?:\w+ )?{_NOUN} than\b"
)
_UNDER = re.compile(
    rf"\b{_WEIGH} less (?:\w+ )?than\b|\bless (?:important|weighty|decisive|serious) (?:\w+ )?than\b|\b(?:came|comes?|ranks?|ranked|stood|placed|put) (?:below|behind|after|under)\b|\b(?:came |ranked |was )?second(?:ary)? to\b|,\s*behind\b|\b(?:lighter|smaller|weaker|lesser) (?:\w+ )?{_NOUN} than\b|\bnext after\b"
)
# "compared with A, B had little weight"
_BESIDE = re.compile(r"\b(?:compared (?:with|to)|next to|beside|measured against|set against)\b")
_LITTLE = re.compile(
    r"\b(?:ha[ds]|carr(?:ied|ies)|held) (?:only |but )?(?:little|less|a smaller|small) (?:weight|say|part|importance|influence|effect)|\b(?:count|matter|weigh)(?:s|ed) (?:for )?(?:only )?(?:little|less)\b|\b(?:was|were|is|are) (?:of )?(?:only )?(?:minor|secondary|small|little importance)\b"
)


class Rank(NamedTuple):
    """A claim about weight.

    Attributes:
        code: Factor that it is about.
        over: Factor that it is said to outweigh; ``*`` for all others; empty if it is said to weigh least.
        start: Offset in the text.
        end: Offset after it.
    """

    code: str
    over: str
    start: int
    end: int


def ranks(sentence: str, offset: int, mentions: Sequence[Mention]) -> list[Rank]:
    """Claims about weight in a lower-case sentence.

    Args:
        sentence: The sentence.
        offset: Where it starts in its text.
        mentions: Its mentions of factors, with offsets in the text.
    """
    patterns = _matches(sentence)
    if not mentions or not patterns:
        return []
    found = []
    for kind, first, last in patterns:
        start, end = first + offset, last + offset
        before = [one for one in mentions if one.end <= start]
        after = [one for one in mentions if one.start >= end]
        if kind in ("first", "last"):
            near = min(mentions, key=lambda one: max(one.start - end, start - one.end, 0))
            found.append(Rank(near.code, "*" if kind == "first" else "", start, end))
        elif kind == "beside" and len(after) > 1 and _LITTLE.search(sentence, after[-1].end - offset):
            found.append(Rank(after[0].code, after[-1].code, start, end))
        elif kind in ("over", "under") and before and after:
            pair = (before[-1].code, after[0].code)
            found.append(Rank(*(pair if kind == "over" else pair[::-1]), start, end))
    return found


@lru_cache(maxsize=1 << 15)
def _matches(sentence: str) -> tuple[tuple[str, int, int], ...]:
    kinds = (("first", _FIRST), ("last", _LAST), ("over", _OVER), ("under", _UNDER), ("beside", _BESIDE))
    return tuple((kind, *match.span()) for kind, pattern in kinds for match in pattern.finditer(sentence))


def wrong(rank: Rank, order: Sequence[str]) -> bool:
    """Whether a claim contradicts a list of factors, the weightiest first."""
    if rank.code not in order:
        return False
    place = order.index(rank.code)
    if rank.over == "*":
        return place > 0
    if not rank.over:
        return place < len(order) - 1
    return rank.over in order and order.index(rank.over) < place
