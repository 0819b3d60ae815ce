"""How a reason is worded where its product file does not say: defaults that read as English."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lendsafe.product import concepts
from lendsafe.product.formula import Formula, formula
from lendsafe.product.model import REGISTERS, Field, Phrases, ReasonCode, Words
from lendsafe.product.patterns import first, parse

MOST_CHARACTERS = 160
_NO_REASON = re.compile(
    r"internal (?:standards?|polic(?:y|ies)|guidelines)|qualifying score|(?:credit )?scoring system"
    r"|our (?:model|algorithm)",
    re.IGNORECASE,
)
_THE = re.compile(
    r"(?:(?:length|number|proportion|amount|time|value|type|purpose|term|status|record|level|share|age|lack)\b"
    r"|(?:short|long|high|low|recent|excessive|insufficient|limited|poor|temporary|delinquent|unacceptable|\w+s\b))",
    re.IGNORECASE,
)
_TOO = re.compile(r"(?P<noun>.+?) (?:is |was )?(?P<much>too \w+|not sufficient|insufficient)(?P<rest> .*)?")
_UNABLE = re.compile(r"unable to (?P<verb>\w+) (?P<what>.+)", re.IGNORECASE)
_SENTENCE = re.compile(r".+ (?:is|are|was|were|has|have|does|do) .+")
_SUBJECT = {
    "applicant": "Your application shows",
    "consumer_report": "Your credit report shows",
    "own_records": "Our records show",
    "third_party": "The information that we obtained shows",
}
_HAS = {
    "applicant": "Your application states {what} of {slot}.",
    "consumer_report": "According to your credit report, {what} is {slot}.",
    "own_records": "According to our records, {what} is {slot}.",
    "third_party": "According to the information that we obtained, {what} is {slot}.",
}


def statement_flaw(statement: str) -> str:
    """What keeps words from being a reason of a notice; empty if nothing.

    12 CFR 1002.9(b)(2): internal standards and a missed qualifying score are no specific reasons.
    """
    if len(statement) > MOST_CHARACTERS:
        return f"has {len(statement)} characters; at most {MOST_CHARACTERS}"
    if any(c in statement for c in "{}[]|<>\n\r\t"):
        return f"{statement!r} holds a bracket or line break; expected plain words"
    if match := _NO_REASON.search(statement):
        return f"'{match[0]}' is no specific reason (12 CFR 1002.9(b)(2))"
    return ""


def reason(
    code: str,
    entry: Mapping[str, Any],
    own: Sequence[Field],
    found: Mapping[str, Field],
    told: Words,
    held_out: Words,
    rules: Mapping[str, Formula | None],
) -> ReasonCode:
    """A reason with everything that its entry leaves out.

    Args:
        code: Its code.
        entry: Its table.
        own: Features that are given as this reason.
        found: All fields.
        told: Wordings of the entry.
        held_out: Wordings kept from training.
        rules: Conditions of the entry.
    """
    statement = entry["statement"].strip()
    known = concepts.of_statement(statement)
    slots = tuple(entry["slots"]) if "slots" in entry else tuple(one.name for one in own if _shown(one))
    against = noun_against(statement)
    in_favor = known.in_favor if known else noun_in_favor(statement, own)
    fact = " ".join(fact_sentence(found[name]) for name in slots)
    words = Words(
        against=told.against or _all(against),
        in_favor=told.in_favor or _all(in_favor),
        fact_against=told.fact_against or _all(fact),
        fact_in_favor=told.fact_in_favor or _all(fact),
        why_against=told.why_against,
        why_in_favor=told.why_in_favor,
    )
    favorable = (
        entry.get("favorable")
        or (known.favorable if known else "")
        or _capital(in_favor.removeprefix("the "))
    )
    derived = _derived_rules(own, none_in_favor=bool(known and known.none_in_favor))
    standard = entry.get("template") or (
        _first(words.against),
        _first(words.in_favor),
        _first(words.fact_against),
    )
    return ReasonCode(
        code=code,
        statement=statement,
        form=entry.get("form") or (known.form if known else "other"),
        favorable=favorable,
        slots=slots,
        adverse_if=rules["adverse_if"] or derived[0],
        favorable_if=rules["favorable_if"] or derived[1],
        words=words,
        held_out=held_out,
        template=(standard[0], standard[1], standard[2]),
    )


def noun_against(statement: str) -> str:
    """A noun phrase that names an adverse reason, made of its statement."""
    if known := concepts.of_statement(statement):
        return known.against
    plain = _lower(re.sub(r"[()]", "", statement).rstrip("."))
    if match := _UNABLE.fullmatch(plain):
        return f"{match['what']} that we could not {match['verb']}"
    if plain.startswith("no "):
        return f"the lack of {plain[3:]}" if plain[3:4].islower() else plain
    if match := _TOO.fullmatch(plain):
        return f"{_article(match['noun'])} that was {match['much']}{match['rest'] or ''}"
    if _SENTENCE.fullmatch(plain):
        return f"the fact that {_article(plain)}"
    return _article(plain)


def noun_in_favor(statement: str, own: Sequence[Field]) -> str:
    """A noun phrase for the same factor when it helps, made of its field's kind and sign."""
    if len(own) != 1:
        return noun_neutral(statement, own)
    one = own[0]
    what = re.sub(r"^(?:your|the) ", "", one.called)
    if one.kind == "count":
        noun = one.noun[1] if one.noun else what
        return f"the low number of {noun}" if one.risk == "+" else f"the number of {noun}"
    if one.kind == "duration":
        return {"-": f"the long {what}", "+": f"the short {what}"}.get(one.risk, f"the {what}")
    if one.numeric:
        return {"-": f"the high {what}", "+": f"the low {what}"}.get(one.risk, f"the {what}")
    if one.kind == "yesno":
        return f"the {what}" if one.risk == "-" else f"no {what}"
    return f"the {what}"


def noun_neutral(statement: str, own: Sequence[Field]) -> str:
    """A noun phrase that takes no side."""
    if match := _UNABLE.fullmatch(_lower(statement.rstrip("."))):
        return f"{match['what']} that we could {match['verb']}"
    if own:
        return "the " + re.sub(r"^(?:your|the) ", "", own[0].called)
    return _article(_lower(re.sub(r"[()]", "", statement)))


def fact_sentence(one: Field) -> str:
    """The sentence that shows a field, its figure as a slot."""
    slot = f"{{{one.name}}}"
    if one.kind == "count":
        return f"{_SUBJECT[one.origin]} {slot}."
    what = one.called if re.match(r"(?:your|the) ", one.called) else f"your {one.called}"
    if one.kind == "category" and one.origin == "applicant":
        return f"On your application, the {re.sub(r'^(?:your|the) ', '', one.called)} is {slot}."
    return _HAS[one.origin].format(what=what if one.origin != "applicant" else _bare(one.called), slot=slot)


def _bare(label: str) -> str:
    plain = re.sub(r"^(?:your|the) ", "", label)
    return f"an {plain}" if re.match(r"[aeio]|u(?!s[ae]|ni)", plain) else f"a {plain}"  # a used share, a unit


def _shown(one: Field) -> bool:
    """Whether a narrative can show a field: a figure or a category in words."""
    return one.numeric or one.kind == "category"


def _derived_rules(own: Sequence[Field], *, none_in_favor: bool) -> tuple[Formula | None, Formula | None]:
    """What the facts have to be for a reason of one field: a count above zero, a yes or a no."""
    if len(own) != 1:
        return None, None
    one = own[0]
    if one.kind == "count" and one.risk == "+":
        return formula(f"{one.name} > 0"), formula(f"{one.name} == 0") if none_in_favor else None
    if one.kind == "yesno" and one.risk:
        adverse, good = ("1", "0") if one.risk == "+" else ("0", "1")
        return formula(f"{one.name} == {adverse}"), formula(f"{one.name} == {good}")
    return None, None


def _first(phrases: Phrases) -> str:
    texts = phrases.get("plain", ())
    return first(parse(texts[0])) if texts else ""


def _all(text: str) -> Phrases:
    return dict.fromkeys(REGISTERS, (text,)) if text else {}


def _article(plain: str) -> str:
    if re.match(r"(?:the|a|an|your|our|no|any|each) ", plain) or not _THE.match(plain):
        return plain if re.match(r"(?:the|a|an|your|our|no|any|each) ", plain) else f"the {plain}"
    return f"the {plain}"


def _lower(text: str) -> str:
    """First letter in lower case, unless the first word is an abbreviation or a name of capitals."""
    word = text.split(" ", 1)[0]
    return text if len(word) > 1 and word.isupper() else text[:1].lower() + text[1:]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
