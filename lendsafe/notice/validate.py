"""Is everything in the letter that has to be there, and nothing else? Rule by rule, with citations.

The rules do not ask how a letter was composed. They derive what has to be in it from the decision,
the dates and the configuration, and read the letter against that.

B1 to B22 are items of 12 CFR 1002 (Regulation B) and its commentary, F1 to F8 of 15 USC 1681m
(FCRA 615), S1 to S9 and N1 to N9 of 12 CFR 1022.74(e) and (f). FORM is the order of the sample
forms (12 CFR 1002 appendix C).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from lendsafe.notice.characters import paragraphs
from lendsafe.notice.fair_credit_reporting import ALTERNATIVES, FAIR_CREDIT_REPORTING
from lendsafe.notice.letter import Case, Letter
from lendsafe.notice.regulation_b import REGULATION_B
from lendsafe.notice.rule import Flaw, Rule
from lendsafe.records import Finding

# Every block, in the order in which a letter has them
ORDER = (
    *("creditor", "specimen", "date", "applicant", "credit_requested", "salutation"),
    *("action_approved", "action_denied", "action_counteroffer", "action_incomplete"),
    *("information_needed", "information_due", "reasons", "narrative", "counteroffer", "counteroffer_reply"),
    *("report_used", "bureau", "file_disclosure", "not_decider", "free_report", "dispute"),
    *("score_used", "own_score_used", "score", "key_factors", "no_key_factors", "score_contact"),
    *("outside_source", "contact", "closing", "ecoa_notice", "agency"),
    *("approval_score", "no_score", "report_meaning", "report_contents", "score_meaning", "score_importance"),
    *("score_effect", "no_score_effect", "score_distribution", "accuracy", "annual_report", "central_source"),
    "bureau_site",
)


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
    """Every rule with what it found, in order; for a reviewer's screen."""
    items = []
    for rule in RULES:
        applies = rule.applies(letter.case)
        flaws = dict.fromkeys(rule.flaws(letter)) if applies else {}
        found = tuple(Finding(rule.id, f"{what} ({rule.citation})", fact=block) for block, what in flaws)
        items.append(Item(rule, applies, found))
    return items


def _form(letter: Letter) -> Iterator[Flaw]:
    """Each block once, known, wanted here, in the order of the forms."""
    ids = [block.id for block in letter.blocks]
    wanted = set(ALTERNATIVES) | {
        name for rule in RULES if rule.applies(letter.case) for name in rule.blocks.split()
    }
    for name, count in Counter(ids).items():
        if name not in wanted:
            yield name, f"'{name}' does not belong into a letter of {letter.case.kind}"
        if count > 1:
            yield name, f"'{name}' is there {count} times"
    for name, following in pairwise(name for name in ids if name in ORDER):
        if ORDER.index(name) > ORDER.index(following):
            yield name, f"'{name}' is out of order"
    if not letter.title.strip():
        yield "", "the letter has no title"


def _explained(case: Case) -> bool:
    return bool(paragraphs(case.narrative))


def _specimen(case: Case) -> bool:
    return case.config.specimen


_FORMS = "12 CFR 1002 appendix C"

RULES: tuple[Rule, ...] = (
    *REGULATION_B,
    *FAIR_CREDIT_REPORTING,
    Rule("FORM", f"{_FORMS}, Form C-1", "The credit requested.", "credit_requested"),
    Rule("FORM", f"{_FORMS}, Form C-1", "Whom to ask, and who signs.", "contact closing"),
    Rule("FORM", "not part of a notice", "A specimen says so.", "specimen", _specimen),
    Rule(
        "FORM", "comment 9(b)(2)-2", "The explanation is the one that was checked.", "narrative", _explained
    ),
    Rule("FORM", _FORMS, "Each block once, and in the order of the forms.", check=_form),
)
