"""The block table: every block of every letter, in order, with its section, when it applies and what is in it.

The order follows Form C-1 (12 CFR 1002 appendix C): request, action, part I reasons, part II outside
sources with the score, whom to ask, the ECOA notice; a pricing notice stands on a page of its own. The
sentences themselves are in ``blocks/*.toml``; what the law asks of a letter is in the rules, which do not
read this table's conditions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lendsafe.notice.case import Case, Disclosed, Kind, long_date
from lendsafe.notice.characters import paragraphs, visible
from lendsafe.notice.grounds import Row
from lendsafe.notice.letter import Look

TITLES: dict[Kind, str] = {
    "approval": "Notice of Action Taken",
    "denial": "Notice of Action Taken and Statement of Reasons",
    "counteroffer": "Notice of Action Taken, Statement of Reasons and Counteroffer",
    "incomplete": "Notice of Incomplete Application and Request for Additional Information",
    "account": "Statement of Credit Termination or Change",
    "review": "Notice of Account Review",
    "reasons": "Statement of Reasons",
    "right": "Notice of Right to a Statement of Reasons",
}
TITLE_WITHOUT_REASONS = "Notice of Action Taken"
CENTRAL_SOURCE = (Row("On the web", "AnnualCreditReport.com"), Row("By phone", "(877) 322-8228"))
INTERVENTION = (  # Directive (EU) 2023/2225, Article 18(8)(a) to (c)
    "request and obtain from us a clear and comprehensible explanation of the assessment of your "
    "creditworthiness, including on the logic and risks involved in the automated processing of personal data "
    "as well as its significance and effects on the decision",
    "express your own point of view to us",
    "request a review of the assessment of your creditworthiness and of the decision on the granting of the credit",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one block holds beside its sentences."""

    items: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    slots: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spec:
    """One line of the table.

    Attributes:
        id: Of the block's template.
        section: Key of :data:`SECTIONS`.
        when: Whether a letter of this case has the block.
        contents: What is in it, once for each time that it is there.
    """

    id: str
    section: str
    when: Callable[[Case], bool]
    contents: Callable[[Case], Sequence[Content]] = lambda _: (Content(),)

    def found(self, case: Case) -> Sequence[Content]:
        """What a letter of this case has of it; nothing if the block does not apply."""
        return self.contents(case) if self.when(case) else ()


def title(case: Case) -> str:
    """The letter's title."""
    without = case.kind == "denial" and not case.states_reasons
    return TITLE_WITHOUT_REASONS if without else TITLES[case.kind]


def common_slots(case: Case) -> dict[str, str]:
    """Every value that any template may ask for, formatted as a reader sees it."""
    config = case.config
    agencies = " or ".join(dict.fromkeys(one.name for one in case.bureaus or config.bureaus))
    return {
        "agencies": agencies,
        "agency": config.agency.sentence if config.agency else "",
        "applicant_name": case.recipient.contact.name,
        "credit": case.grounds.credit,
        "due_date": long_date(case.due),
        "notice_date": long_date(case.dates.notice),
        "response_days": str(config.response_days),
    }


# ---------------------------------------------------------------- what is in a block


def _items(read: Callable[[Case], Sequence[str]]) -> Callable[[Case], Sequence[Content]]:
    return lambda case: (Content(items=tuple(read(case))),)


def _rows(read: Callable[[Case], Sequence[Row]]) -> Callable[[Case], Sequence[Content]]:
    return lambda case: (Content(rows=tuple(read(case))),)


def _each_score(
    scores: Callable[[Case], Sequence[Disclosed]], read: Callable[[Disclosed], Content | None]
) -> Callable[[Case], Sequence[Content]]:
    def contents(case: Case) -> Sequence[Content]:
        return tuple(found for one in scores(case) if (found := read(one)))

    return contents


def _creditor(case: Case) -> Sequence[str]:
    return case.config.creditor.lines


def _office(case: Case) -> Sequence[str]:
    creditor = case.config.creditor
    return (creditor.office, *creditor.lines) if creditor.office else creditor.lines


def _reply_to(case: Case) -> Sequence[str]:
    return (case.config.creditor.name, *case.config.creditor.address)


def _signature(case: Case) -> Sequence[str]:
    return tuple(line for line in (case.config.creditor.office, case.config.creditor.name) if line)


def _addressee(case: Case) -> Sequence[str]:
    return (case.recipient.contact.name, *case.recipient.contact.address)


def _agencies(case: Case) -> Sequence[Content]:
    return tuple(Content(items=one.lines) for one in case.bureaus)


def _request(case: Case) -> Sequence[Row]:
    grounds, account = case.grounds, case.kind in ("account", "review")
    names = [one.contact.name for one in grounds.consumers if one.role != "cosigner"]
    rows = [
        Row("Account" if account else "Application", visible(grounds.application_id)),
        Row("Reviewed" if account else "Received", long_date(case.dates.received)),
        Row("Applicants", " and ".join(names) if len(names) > 1 else ""),
        Row("Description" if account else "Credit requested", grounds.credit),
        Row("Action taken", grounds.change if account else ""),
    ]
    return tuple(row for row in rows if row.value)


def _value(one: Disclosed) -> Content | None:
    score, source = one
    if score.value is None or score.created is None:
        return None
    rows = (
        Row("Your credit score", str(score.value)),
        Row("Date", long_date(score.created)),
        Row("Scores range", f"from a low of {source.low} to a high of {source.high}"),
        Row("Provided by", source.provider),
    )
    return Content(rows=rows)


def _factors(one: Disclosed) -> Content | None:
    factors = tuple(map(visible, one.score.key_factors or ()))
    return Content(items=factors, slots={"provider": one.source.provider}) if factors else None


def _no_factors(one: Disclosed) -> Content | None:
    return None if one.score.key_factors else Content(slots={"provider": one.source.provider})


def _absent(one: Disclosed) -> Content:
    return Content(slots={"provider": one.source.provider})


def _questions(one: Disclosed) -> Content | None:
    source = one.source
    if not source.address or not source.phone:
        return None
    return Content(items=(source.provider, *source.address, f"Telephone: {source.phone}"))


def _bars(one: Disclosed) -> Content | None:
    if one.score.value is None or not one.source.distribution:
        return None
    bars = one.source.distribution
    rows = tuple(Row(f"{bar.low}–{bar.high}", f"{bar.percent:g}%") for bar in bars)
    return Content(rows=rows, slots={"provider": one.source.provider})


def _used(case: Case) -> Sequence[Disclosed]:
    return case.scores_used


def _there(case: Case) -> Sequence[Disclosed]:
    return tuple(one for one in case.scores if one.score.value is not None)


# ---------------------------------------------------------------- when a block applies


def _always(_: Case) -> bool:
    return True


def _kind(*kinds: Kind) -> Callable[[Case], bool]:
    return lambda case: case.kind in kinds


def _cosigner(case: Case) -> bool:
    return case.recipient.role == "cosigner"


def _denied(case: Case) -> bool:
    return case.kind == "denial" and not case.grounds.business


def _one_report(case: Case) -> bool:
    return case.report_disclosed and len(case.bureaus) == 1


def _reports(case: Case) -> bool:
    return case.report_disclosed and len(case.bureaus) > 1


def _bureau_score(case: Case) -> bool:
    return [one.score.own for one in case.scores_used] == [False]


def _bureau_scores(case: Case) -> bool:
    return len(case.scores_used) > 1 and not any(one.score.own for one in case.scores_used)


def _several(
    scores: Callable[[Case], Sequence[Disclosed]], also: Callable[[Case], bool]
) -> Callable[[Case], bool]:
    return lambda case: len(scores(case)) > 1 and also(case)


def _single(
    scores: Callable[[Case], Sequence[Disclosed]], also: Callable[[Case], bool]
) -> Callable[[Case], bool]:
    return lambda case: len(scores(case)) == 1 and also(case)


def _own_score(report_only: bool) -> Callable[[Case], bool]:
    return lambda case: any(
        one.score.own and one.score.report_only is report_only for one in case.scores_used
    )


def _federal(case: Case) -> bool:
    return case.under("US") and (case.adverse or case.kind == "right")


def _form(*forms: str) -> Callable[[Case], bool]:
    return lambda case: case.pricing_form in forms


def _colorado(case: Case) -> bool:
    return case.adverse and case.under("US-CO") and not case.grounds.business


def _european(case: Case) -> bool:
    return case.adverse and case.under("EU-CCD") and not case.grounds.business


def _system(law: Callable[[Case], bool], part: str) -> Callable[[Case], bool]:
    return lambda case: law(case) and case.grounds.system == part


def _european_system(case: Case) -> bool:
    return _european(case) and case.grounds.system != "none"


def _offered(case: Case) -> Sequence[Row]:
    return case.grounds.offered.rows if case.grounds.offered else ()


_SCORE_PAGE, _NO_SCORE_PAGE = _form("H-4"), _form("H-5")
_PAGE = _form("H-4", "H-5")
_RISK_PAGE = _form("H-1", "H-2", "H-6", "H-7")
_TERMS_PAGE, _REVIEW_PAGE, _SCORED_PAGE = _form("H-1", "H-6"), _form("H-2", "H-7"), _form("H-6", "H-7")


def _reasons_heading(case: Case) -> str:
    credit = case.kind == "denial" or case.kind == "reasons"
    return "Principal reasons for credit denial" if credit else "Principal reasons for our decision"


def _narrative_heading(case: Case) -> str:
    if case.kind == "incomplete":
        return "About your application"
    return "What these reasons mean" if case.states_reasons else "About our decision"


def _page_heading(case: Case) -> str:
    return {
        "H-4": "Your credit score and the price you pay for credit",
        "H-5": "Credit scores and the price you pay for credit",
        "H-1": "Your credit report and the price you pay for credit",
        "H-6": "Your credit report and the price you pay for credit",
        "H-2": "Your credit report and the pricing of your account",
        "H-7": "Your credit report and the pricing of your account",
    }.get(case.pricing_form, "")


# key -> heading, how it is set on the page
SECTIONS: dict[str, tuple[str | Callable[[Case], str], Look]] = {
    "letterhead": ("", "letterhead"),
    "address": ("", "plain"),
    "action": (title, "plain"),
    "reasons": (_reasons_heading, "plain"),
    "request": ("Your right to a statement of reasons", "plain"),
    "narrative": (_narrative_heading, "plain"),
    "offer": ("What we can offer you", "plain"),
    "report": ("Use of information from a consumer report", "plain"),
    "score": ("Information about your credit score", "panel"),
    "other": ("Use of information from another outside source", "plain"),
    "colorado": ("Your rights in Colorado", "plain"),
    "european": ("Your rights after an automated assessment", "plain"),
    "database": ("Consultation of a database", "plain"),
    "questions": ("Questions", "plain"),
    "closing": ("", "plain"),
    "notice": ("Notice", "plain"),
    "page": (_page_heading, "page"),
}

BLOCKS: tuple[Spec, ...] = (
    Spec("creditor", "letterhead", _always, _items(_creditor)),
    Spec("specimen", "letterhead", lambda case: case.config.specimen),
    Spec("date", "address", _always),
    Spec("applicant", "address", _always, _items(_addressee)),
    Spec("credit_requested", "action", _always, _rows(_request)),
    Spec("salutation", "action", _always),
    Spec("action_approved", "action", lambda case: case.kind == "approval" and not _cosigner(case)),
    Spec("action_cosigned", "action", lambda case: case.kind == "approval" and _cosigner(case)),
    Spec("action_denied", "action", _denied),
    Spec("action_business", "action", lambda case: case.kind == "denial" and bool(case.grounds.business)),
    Spec("action_counteroffer", "action", _kind("counteroffer")),
    Spec("action_incomplete", "action", _kind("incomplete")),
    Spec("action_account", "action", _kind("account")),
    Spec("action_reviewed", "action", _kind("review")),
    Spec("action_reasons", "action", _kind("reasons")),
    Spec("business_right", "action", _kind("right"), _items(_office)),
    Spec("information_needed", "action", _kind("incomplete"), _items(lambda case: case.grounds.needed)),
    Spec("information_due", "action", _kind("incomplete")),
    Spec(
        "reasons",
        "reasons",
        lambda case: case.states_reasons,
        _items(lambda case: [one.statement for one in case.grounds.reasons]),
    ),
    Spec(
        "reasons_on_request",
        "request",
        lambda case: case.kind == "denial" and not case.states_reasons,
        _items(_office),
    ),
    Spec(
        "account_reasons_on_request",
        "request",
        lambda case: case.kind == "account" and not case.states_reasons,
        _items(_office),
    ),
    Spec(
        "narrative",
        "narrative",
        lambda case: case.explained,
        _items(lambda case: paragraphs(case.narrative)),
    ),
    Spec("counteroffer", "offer", _kind("counteroffer"), _rows(_offered)),
    Spec("counteroffer_reply", "offer", _kind("counteroffer"), _items(_reply_to)),
    Spec("report_used", "report", _one_report),
    Spec("reports_used", "report", _reports),
    Spec("bureau", "report", lambda case: case.report_disclosed, _agencies),
    Spec("file_disclosure", "report", _one_report),
    Spec("file_disclosures", "report", _reports),
    Spec("not_decider", "report", _one_report),
    Spec("not_deciders", "report", _reports),
    Spec("free_report", "report", _one_report),
    Spec("free_reports", "report", _reports),
    Spec("dispute", "report", _one_report),
    Spec("disputes", "report", _reports),
    Spec("score_used", "score", _bureau_score),
    Spec("scores_used", "score", _bureau_scores),
    Spec("own_score_used", "score", _own_score(report_only=True)),
    Spec("own_score_mixed", "score", _own_score(report_only=False)),
    Spec("score", "score", _always, _each_score(_used, _value)),
    Spec("key_factors", "score", _single(_used, _always), _each_score(_used, _factors)),
    Spec("key_factors_of", "score", _several(_used, _always), _each_score(_used, _factors)),
    Spec("no_key_factors", "score", _always, _each_score(_used, _no_factors)),
    Spec("score_contact", "score", _always, _each_score(_used, _questions)),
    Spec("score_absent", "score", _always, _each_score(lambda case: case.scores_absent, _absent)),
    Spec("outside_source", "other", lambda case: case.other_source),
    Spec("co_system_decided", "colorado", _system(_colorado, "decided")),
    Spec("co_system_recommended", "colorado", _system(_colorado, "recommended")),
    Spec("co_system_none", "colorado", _system(_colorado, "none")),
    Spec("co_inputs", "colorado", _colorado, _items(_office)),
    Spec("co_correction", "colorado", _colorado),
    Spec("co_review", "colorado", _colorado),
    Spec("eu_system_decided", "european", _system(_european, "decided")),
    Spec("eu_system_recommended", "european", _system(_european, "recommended")),
    Spec("eu_intervention", "european", _european_system, _items(lambda _: INTERVENTION)),
    Spec("eu_contact", "european", _european_system, _items(_office)),
    Spec("eu_database", "database", lambda case: _european(case) and case.report_used, _agencies),
    Spec("contact", "questions", _always, _items(_creditor)),
    Spec("closing", "closing", _always, _items(_signature)),
    Spec("ecoa_notice", "notice", _federal),
    Spec("agency", "notice", _federal),
    Spec("approval_score", "page", _SCORE_PAGE, _each_score(_there, _value)),
    Spec("no_score", "page", _NO_SCORE_PAGE),
    Spec("history_in_report", "page", _RISK_PAGE),
    Spec("report_meaning", "page", _SCORE_PAGE),
    Spec("report_contents", "page", _NO_SCORE_PAGE),
    Spec("score_meaning", "page", _PAGE),
    Spec("score_importance", "page", _NO_SCORE_PAGE),
    Spec("score_effect", "page", _SCORE_PAGE),
    Spec("no_score_effect", "page", _NO_SCORE_PAGE),
    Spec("score_distribution", "page", _single(_there, _SCORE_PAGE), _each_score(_there, _bars)),
    Spec("score_distribution_of", "page", _several(_there, _SCORE_PAGE), _each_score(_there, _bars)),
    Spec("terms_set", "page", _TERMS_PAGE),
    Spec("terms_less_favorable", "page", _TERMS_PAGE),
    Spec("account_reviewed", "page", _REVIEW_PAGE),
    Spec("rate_increased", "page", _REVIEW_PAGE),
    Spec("terms_score", "page", _SCORED_PAGE),
    Spec("pricing_score", "page", _SCORED_PAGE, _each_score(_there, _value)),
    Spec("pricing_key_factors", "page", _single(_there, _SCORED_PAGE), _each_score(_there, _factors)),
    Spec("pricing_key_factors_of", "page", _several(_there, _SCORED_PAGE), _each_score(_there, _factors)),
    Spec("no_pricing_key_factors", "page", _SCORED_PAGE, _each_score(_there, _no_factors)),
    Spec("accuracy", "page", _PAGE),
    Spec("report_rights", "page", _RISK_PAGE),
    Spec("report_furnisher", "page", _RISK_PAGE, _agencies),
    Spec("report_without_charge", "page", _RISK_PAGE),
    Spec("annual_report", "page", _PAGE),
    Spec("central_source", "page", _PAGE, _rows(lambda _: CENTRAL_SOURCE)),
    Spec("bureau_site", "page", _PAGE),
    Spec("more_about_reports", "page", _RISK_PAGE),
)


def wanted(case: Case) -> Iterator[tuple[Spec, int, Content]]:
    """Every block that a letter of this case has, in order, with its number and what is in it."""
    for spec in BLOCKS:
        for number, content in enumerate(spec.found(case)):
            yield spec, number, content


def heading(section: str, case: Case) -> str:
    """A section's heading."""
    text, _ = SECTIONS[section]
    return text if isinstance(text, str) else text(case)
