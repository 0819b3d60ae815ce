"""A sentence without the words that speak of no factor: slots and stock phrases."""

import re

from lendsafe.slots import SLOT

# the purpose of the loan and stock phrases that hold a factor's words without speaking of the factor
_MASKED = re.compile(
    r"\bto (?:a|an|some|any|the|no) (?:\w+ )?(?:degree|extent)\b|debt[ -]consolidation|consolidat\w+ (?:[\w{}$,]+ ){0,4}?(?:debts?|balances|loans?|cards?|bills|accounts?)|"
    r"(?:pay|paying) off (?:\w+ ){0,2}?(?:debts?|cards?|balances)|home[ -]improvements?|"
    r"\ba (?:little|bit|(?:great|good) deal(?: \w+er)?|lot)\b(?! of)|\ba few\b|\ba (?:small|minor|lesser|slight) one\b|\b(?:slight|mild|strong|clear|modest|moderate)ly\b|\bweigh\w* heavily\b|"
    r"\b(?:small|less|minor|light|larg|bigg|great|major|slight|strong|clear|big|main|heavy|heavi|considerable|significant|substantial|modest|moderate)(?:er|est|e)?\b"
    r"(?= (?:\w+ )?(?:reasons?|part|factors?|weight|role|points?|share|measure|extent|degree|way|ground|deal|support|harm|effect|bearing|say|influence|impact|issue|concern|problem|worry|difference|drawback|plus|minus|advantage|strength|consideration|matter|setback))|"
    r"\bt(?:ake|akes|aking|ook|aken) (?:\w+ )?account(?: of)?|\bon account of|"
    r"credit (?:decision|request|application|bureau report)s?|on (?:balance|the whole)|taken together|all in all|in addition|"
    r"(?:in|as) (?:a )?(?:good|short|brief)\b(?= (?:news|faith|summary))|good news|short (?:answer|version)|in short|in brief|"
    r"\bin full\b|\b(?:in|within|over|during) (?:just|only|barely|little more than|about)\b|more (?:information|about|detail\w*)|thank you for your (?:patience|interest|time|trust)|as well as|too,|too\.|"
    r"(?:a|the) (?:longer|shorter) look|closer look|full(?:er)? (?:review|picture|amount)|whole picture|long(?:er)? term(?! (?:that|you|of|loan))"
)


def mask(sentence: str) -> str:
    """The sentence with slots and stock phrases blanked out; offsets stay."""
    plain = SLOT.sub(lambda match: "{" + "q" * len(match[1]) + "}", sentence)
    return _MASKED.sub(
        lambda match: "," * 1 + " " * (len(match[0]) - 1) if match[0].endswith(",") else " " * len(match[0]),
        plain,
    )
