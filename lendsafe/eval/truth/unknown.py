"""Factors that are in no list: "your recent holiday weighed against you"."""

import re

from lendsafe.eval.truth import sentences
from lendsafe.eval.truth.lexicon import lexicon, list_of
from lendsafe.eval.truth.masking import mask
from lendsafe.eval.truth.mentions import TONES, Mention, read_sentence
from lendsafe.eval.truth.sentences import Span
from lendsafe.eval.truth.words import remembered, words

_OWNED = re.compile(r"\b(?:your|the applicant's)\s+((?:[a-z'-]+\s+){0,3}?[a-z'-]+)(?=[\s,.;:)]|$)")
_FAMILIAR = re.compile(
    r"^(?:\w+\s+){0,3}?(?:application|request\w*|loan|credit|report|file|record|history|decision|income|earnings|pay|accounts?|lenders?|bureau|case|situation|"
    r"favou?r|side|ability|capacity|budget|finances|financial|debts?|payments?|repayments?|obligations|balances?|limits?|cards?|jobs?|work|employ\w+|"
    r"month\w*|year\w*|own|present|current|new|existing|score|overall|time|interest|confidence|support|help|papers?|paperwork|forms?|contract|branch|salary|wages|paycheck|patience|understanding|questions?|needs?|plans?|money|factors?|"
    r"strengths?|reasons?|standing|strong|stronger|strongest|main|figures?|facts?|information|details?|answers?|good|steady|careful|solid|amount|creditors?|"
    r"borrow\w*|bills?|dues?|use|level|share|ratio|inquir\w+|collections?|bankruptc\w+|judgments?|purchase|home|vehicle|car|project|profile|picture|commitments?|"
    r"position|circumstances|lines?|tenure|proof|documents?|stated|recent|last|past|first|trust|choice|thoughts|letter|business with|thanks|being|part|\w+ing)\b"
)


def unknown_factors(text: str, *, approved: bool) -> list[Mention]:
    """What a text blames or praises that is no factor of any list: "your recent holiday weighed against you"."""
    found: list[Mention] = []
    lowered = text.lower()
    if len(lowered) != len(text):
        return found
    for start, end in sentences.split(lowered):
        found += [
            Mention("unknown", start + first, start + last, 0, False)
            for first, last in _unknown(lowered[start:end], 1 if approved else -1)
        ]
    return found


@remembered(1 << 16)
def _unknown(sentence: str, outcome: int) -> tuple[Span, ...]:
    if any(one.asserted for one in read_sentence(sentence, outcome).mentions):
        return ()
    plain = mask(sentence)
    if not {list_of(match) for match in lexicon().cues.finditer(plain)} & {*TONES, "cause"}:
        return ()
    return tuple(
        match.span()
        for match in _OWNED.finditer(plain)
        if not words().all_purposes.search(match[0])
        and not _FAMILIAR.match(match[1] + " " + sentence[match.end() : match.end() + 40])
    )
