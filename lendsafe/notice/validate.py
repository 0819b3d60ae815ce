"""Is everything in the letter that has to be there, and nothing else? Rule by rule, with citations.

The rules do not ask how a letter was composed. They derive what has to be in it from the decision,
the dates and the configuration, and read the letter against that.

B1 to B22 are items of 12 CFR 1002 (Regulation B) and its commentary, F1 to F8 of 15 USC 1681m
(FCRA 615), S, N, P and R of 12 CFR 1022.72 to 1022.75, C of Colorado's and E of the European Union's law.
FORM is the order of the sample forms (12 CFR 1002 appendix C).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from lendsafe.notice import table
from lendsafe.notice.case import Case
from lendsafe.notice.characters import paragraphs
from lendsafe.notice.colorado import COLORADO
from lendsafe.notice.compose import sections, translation
from lendsafe.notice.european_union import EUROPEAN_UNION
from lendsafe.notice.fair_credit_reporting import FAIR_CREDIT_REPORTING
from lendsafe.notice.letter import Letter
from lendsafe.notice.regulation_b import REGULATION_B
from lendsafe.notice.risk_based_pricing import RISK_BASED_PRICING
from lendsafe.notice.rule import Flaw, Rule, find
from lendsafe.records import Finding

ORDER = tuple(spec.id for spec in table.BLOCKS)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a checklist: a rule, whether it concerns this letter, and what it found."""

    rule: Rule
    applies: bool
    findings: tuple[Finding, ...]


def validate(letter: Letter) -> list[Finding]:
    """Everything that is missing, altered, misplaced, late or too much; empty if nothing is.

    Returns:
        Findings whose ``rule`` is the item, whose message ends in its citation, and whose ``fact``
        is the block concerned (empty if it is the letter as a whole).
    """
    return [finding for item in checklist(letter) for finding in item.findings]


def checklist(letter: Letter) -> list[Item]:
    """Every rule with what it found, in order; for a reviewer's screen and for the record."""
    items = []
    for rule in RULES:
        applies = rule.applies(letter.case)
        flaws = dict.fromkeys(rule.flaws(letter)) if applies else {}
        found = tuple(Finding(rule.id, f"{what} ({rule.citation})", fact=block) for block, what in flaws)
        items.append(Item(rule, applies, found))
    return items


def _form(letter: Letter) -> Iterator[Flaw]:
    """Each block as often as it is asked for, known, wanted here, in the order of the forms."""
    ids = [block.id for block in letter.blocks]
    asked = {name for rule in RULES if rule.applies(letter.case) for name in rule.blocks.split()}
    times = Counter(spec.id for spec, _, _ in table.wanted(letter.case))
    for name, count in Counter(ids).items():
        if name not in asked:
            yield name, f"'{name}' does not belong into a letter of {letter.case.kind}"
        if count > max(1, times[name]):
            yield name, f"'{name}' is there {count} times"
    for name, following in pairwise(name for name in ids if name in ORDER):
        if ORDER.index(name) > ORDER.index(following):
            yield name, f"'{name}' is out of order"
    if letter.title != table.title(letter.case):
        yield "", "the letter's title is not that of its kind"


def _headings(letter: Letter) -> Iterator[Flaw]:
    """Under the headings of the table, and on a page of its own what has to be (12 CFR 1022.74(e)(2)(ii))."""
    wanted = {(one.heading, one.look) for one in sections(letter.case)}
    for section in letter.sections:
        if (section.heading, section.look) not in wanted:
            for block in section.blocks:
                yield block.id, f"'{block.id}' stands under another heading than its own"


def _translation(letter: Letter) -> Iterator[Flaw]:
    """The second language says as much as the English, in the supplied words."""
    wanted = [block for section in translation(letter.case) for block in section.blocks]
    there = [block for section in letter.translated for block in section.blocks]
    for block in wanted:
        if block not in there:
            yield block.id, f"'{block.id}' is missing or altered in the second language"
    for block in there:
        if block not in wanted:
            yield block.id, f"'{block.id}' of the second language is not the supplied one"


def _explained(case: Case) -> bool:
    told = bool(paragraphs(case.narrative)) and case.recipient.role == "primary"
    return told and (case.states_reasons or case.kind not in ("denial", "account"))


def _to_one_alone(letter: Letter) -> Iterator[Flaw]:
    if letter.case.recipient.role != "primary" and find(letter, "narrative"):
        yield "narrative", "facts about the primary applicant are told to another"


def _specimen(case: Case) -> bool:
    return case.config.specimen


_FORMS = "12 CFR 1002 appendix C"

RULES: tuple[Rule, ...] = (
    *REGULATION_B,
    *FAIR_CREDIT_REPORTING,
    *RISK_BASED_PRICING,
    *COLORADO,
    *EUROPEAN_UNION,
    Rule("FORM", f"{_FORMS}, Form C-1", "The credit requested.", "credit_requested"),
    Rule("FORM", f"{_FORMS}, Form C-1", "Whom to ask, and who signs.", "contact closing"),
    Rule("FORM", "not part of a notice", "A specimen says so.", "specimen", _specimen),
    Rule(
        "FORM", "comment 9(b)(2)-2", "The explanation is the one that was checked.", "narrative", _explained
    ),
    Rule("FORM", "15 USC 1681b", "One person's report is not told to another.", check=_to_one_alone),
    Rule("FORM", _FORMS, "Each block once, and in the order of the forms.", check=_form),
    Rule("FORM", _FORMS, "Each block under its heading.", check=_headings),
    Rule("FORM", "12 CFR 1002.4(e)", "The second language says as much.", check=_translation),
)
