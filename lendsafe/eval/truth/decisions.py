"""Which outcome a text states."""

import re
from functools import lru_cache
from typing import NamedTuple

from lendsafe.eval.truth import sentences
from lendsafe.eval.truth.lexicon import lexicon, list_of


class Statement(NamedTuple):
    """One place where a text states an outcome: ``approved``, ``declined``, ``counteroffer``, ``incomplete``."""

    outcome: str
    start: int
    end: int


_NO = re.compile(
    r"\b(?:no|not|never|cannot|unable|nor|neither|without|\w+n['\u2019]t|impossible|fail(?:s|ed)? to|(?:kept|keeps?|prevent\w*|stop\w*|bar(?:red|s)) us from|"
    r"not in a position|out of (?:our )?reach|short of|rather than|instead of|in the way of|against|too \w+ (?:for us )?to|hard(?:er)? (?:for us )?to|difficult (?:for us )?to|declin\w+ to|decided against)\b"
)
# not a statement of the outcome at all
_OPEN = re.compile(
    r"\b(?:whether|if|before|until|would|could|should|enough|needed|required|order|ask(?:ed|ing)?|hoped?|want(?:ed)?|in favou?r of|how we|deciding|criteria|when)\b"
)
# "none of this kept us from saying yes": a negation of what would stand in the way
_UNHINDERED = re.compile(
    r"\b(?:no|not|none|nothing|never|\w+n't)\b(?: \w+){0,4}? (?:prevent\w*|stop\w*|ke(?:ep|pt)\w*|barr?(?:ed)?|stood|stand|change[ds]?)\b"
)
# "it is not that we are unable to": a negation of a negation
_TWICE = re.compile(
    r"\b(?:no|not|never|nothing|\w+n't)\b(?: \w+){0,4}? (?:unable|cannot|impossible|unwilling|fail\w*|refus\w*|without)\b"
)
_LESS = re.compile(r"\b(?:smaller|lower|lesser|reduced)\b")
_RESOLVED = re.compile(r"\b(?:came|come|decided|had|have|chose|chosen) to $")
_GAP = re.compile(r"[;:\u2014]|\bbut\b|\bso\b|\band (?:we|it|this|your)\b|,")


def statements(lowered: str) -> list[Statement]:
    """Every statement of an outcome in a lower-case text, in order."""
    found: list[Statement] = []
    for start, end in sentences.split(lowered):
        found += [
            Statement(outcome, first + start, last + start)
            for outcome, first, last in _stated(lowered[start:end])
        ]
    return found


@lru_cache(maxsize=1 << 16)
def _stated(sentence: str) -> tuple[Statement, ...]:
    return tuple(
        Statement(outcome, match.start(), match.end())
        for match in lexicon().decision.finditer(sentence)
        if (outcome := _outcome(match, sentence))
    )


def _outcome(match: re.Match[str], sentence: str) -> str:
    kind = list_of(match)
    before = sentence[max(0, match.start() - 60) : match.start()]
    before = before[max((gap.end() for gap in _GAP.finditer(before)), default=0) :]
    if kind in ("counteroffer", "incomplete"):
        return kind
    negated = bool(_NO.search(before)) and not _UNHINDERED.search(before) and not _TWICE.search(before)
    open_ = _OPEN.search(before) and not _RESOLVED.search(before)
    if kind == "declined":
        return "" if negated or open_ else "declined"
    if negated:
        return "declined"
    if _LESS.search(match[0]):
        return "counteroffer"
    if kind == "approval_noun" or open_:
        return ""
    return "approved"
