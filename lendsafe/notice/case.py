"""All that a letter is made from, and the questions that blocks and rules ask of it.

Which letter, to whom, by when, under whose law, with which disclosures: each is answered here, once.
"""

import math
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal, NamedTuple

from lendsafe.errors import DataError
from lendsafe.notice.characters import paragraphs
from lendsafe.notice.config import Jurisdiction, NoticeConfig, Party, ScoreSource
from lendsafe.notice.grounds import Consumer, Grounds, Score

Kind = Literal["approval", "denial", "counteroffer", "incomplete", "account", "review", "reasons", "right"]
PricingForm = Literal["", "H-1", "H-2", "H-4", "H-5", "H-6", "H-7"]

NOTICE_DAYS = 30  # 12 CFR 1002.9(a)(1)(i) to (iii), (a)(2)(ii), (c)(1)
REVIEW_DAYS = 5  # 12 CFR 1022.73(c)(1)(iii): after the effective date of the change
REQUEST_DAYS = 60  # 12 CFR 1002.9(a)(2)(ii)
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2098, 12, 31)  # beyond these, a date stands for none
RETENTION_MONTHS = 25  # 12 CFR 1002.12(b)(1)
BUSINESS_RETENTION_MONTHS = 12
CUTOFF_YEARS = 2  # 12 CFR 1022.72(b)(1)(iii)(A)

# First day of letters under a law
SINCE: dict[Jurisdiction, date] = {
    "US": date.min,
    "US-CO": date(2027, 1, 1),  # Colorado SB 26-189: duties from then
    "EU-CCD": date(2026, 11, 20),  # Directive (EU) 2023/2225, Article 48
}
KINDS: dict[str, Kind] = {
    "approved": "approval",
    "declined": "denial",
    "counteroffer": "counteroffer",
    "incomplete": "incomplete",
    "account": "account",
    "account_review": "review",
    "reasons": "reasons",
    "right": "right",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """The days that the law counts from. Days, not moments: clocks that are put back change nothing.

    Attributes:
        received: When the application came in, or when the account was reviewed.
        notice: When the letter is mailed.
        completed: When the application was complete; ``received`` if it was so at once.
        acted: When action was taken on an account, or when a raised rate takes effect.
        denied: When the denial was notified that a statement of reasons is asked for.
        requested: When that was asked for.

    Raises:
        DataError: If days are out of order, or a day is none of our time.
    """

    received: date
    notice: date
    completed: date | None = None
    acted: date | None = None
    denied: date | None = None
    requested: date | None = None

    def __post_init__(self) -> None:
        for name in ("received", "completed", "acted", "denied", "requested", "notice"):
            day: date | None = getattr(self, name)
            if day and not FIRST_DAY <= day <= LAST_DAY:
                raise DataError(f"'{name}' is {day}; expected a day from {FIRST_DAY} to {LAST_DAY}.")
        in_order = [
            day for day in (self.received, self.completed, self.denied, self.requested, self.notice) if day
        ]
        if in_order != sorted(in_order):
            raise DataError(
                "Dates are out of order: an application is received, then complete, then answered."
            )


class Disclosed(NamedTuple):
    """A score with where it comes from, as the lender's file says."""

    score: Score
    source: ScoreSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that one letter is made from.

    Attributes:
        grounds: The decision.
        recipient: The person of the application that this letter goes to.
        narrative: Explanation that passed every check.
        config: The lender.
        dates: Days that the law counts from.
    """

    grounds: Grounds = field(repr=False)
    recipient: Consumer = field(repr=False)
    narrative: str = field(repr=False)
    config: NoticeConfig = field(repr=False)
    dates: Dates

    @property
    def kind(self) -> Kind:
        """Which letter it is; an approval of less than was asked for is a counteroffer (1002.2(c)(1)(i))."""
        kind = KINDS[self.grounds.action]
        return "counteroffer" if kind == "approval" and self.grounds.less else kind

    @property
    def adverse(self) -> bool:
        """Whether adverse action is taken."""
        return self.kind in ("denial", "counteroffer", "account")

    @property
    def states_reasons(self) -> bool:
        """Whether this letter states the principal reasons; else it says how to ask for them."""
        if self.kind in ("denial", "account"):
            return self.config.reasons == "stated"
        return self.kind in ("counteroffer", "reasons")

    @property
    def explained(self) -> bool:
        """Whether the narrative is in the letter: beside reasons that are stated, to whom its facts are about.

        A letter that says how to ask for reasons does not give them by the way, and what one applicant's
        report holds is not told to another.
        """
        withheld = self.adverse and not self.states_reasons
        return bool(paragraphs(self.narrative)) and self.recipient.role == "primary" and not withheld

    def under(self, law: Jurisdiction) -> bool:
        """Whether the letter follows that law: the lender, the consumer and the day are under it."""
        if law == "US":
            return "EU-CCD" not in self.config.jurisdictions
        there = law != "US-CO" or self.recipient.contact.state == "CO"
        return law in self.config.jurisdictions and there and self.dates.notice >= SINCE[law]

    @property
    def bureaus(self) -> tuple[Party, ...]:
        """Agencies whose report about the recipient was used."""
        found = (self.config.bureau(name) for name in self.recipient.bureaus)
        return tuple(one for one in found if one)

    @property
    def report_used(self) -> bool:
        """Whether the decision rests on a consumer report about the recipient."""
        return bool(self.recipient.bureaus)

    @property
    def report_disclosed(self) -> bool:
        """Whether 15 USC 1681m(a) asks for its disclosures."""
        return self.adverse and self.report_used and self.under("US")

    @property
    def scores(self) -> tuple[Disclosed, ...]:
        """The recipient's scores that the lender's setting discloses, used or not."""
        if self.config.score_disclosed == "none":
            return ()
        own = self.config.score_disclosed == "proprietary"
        found = ((one, self.config.score(one.provider)) for one in self.recipient.scores if one.own == own)
        return tuple(Disclosed(score, source) for score, source in found if source)

    @property
    def scores_used(self) -> tuple[Disclosed, ...]:
        """Scores that a notice of adverse action discloses: used, and there (15 USC 1681m(a)(2))."""
        used = self.report_disclosed and self.grounds.score_used
        return tuple(one for one in self.scores if one.score.value is not None) if used else ()

    @property
    def scores_absent(self) -> tuple[Disclosed, ...]:
        """Scores that would have been used, had there been one."""
        used = self.report_disclosed and self.grounds.score_used
        return tuple(one for one in self.scores if one.score.value is None) if used else ()

    @property
    def other_source(self) -> bool:
        """Whether 15 USC 1681m(b) asks for its disclosure: a factor that counted came from a third party."""
        third = any("third_party" in one.sources for one in self.grounds.reasons)
        known = third or self.grounds.other_sources or self.config.outside_source
        return self.adverse and known and self.under("US")

    @property
    def pricing_form(self) -> PricingForm:
        """Which model form of 12 CFR 1022 appendix H the letter carries the content of; empty if none.

        None for business credit (1022.70(a)(2)), nor with a notice of adverse action (1022.74(b)).
        """
        if self.grounds.business or not self.under("US"):
            return ""
        scored = any(one.score.value is not None for one in self.scores)
        if self.kind == "review":
            return (
                "" if not self.report_used else "H-7" if scored and self.grounds.terms.score_used else "H-2"
            )
        if self.kind != "approval":
            return ""
        if self.config.approval_score_notice:
            wanted = self.config.score_disclosed != "none" and bool(self.config.bureaus)
            return "" if not wanted else "H-4" if scored else "H-5"
        if not self.report_used or not self._priced_by_risk():
            return ""
        return "H-6" if scored and self.grounds.terms.score_used else "H-1"

    def _priced_by_risk(self) -> bool:
        """Whether the consumer gets a risk-based pricing notice (12 CFR 1022.72(b))."""
        pricing, terms = self.config.pricing, self.grounds.terms
        if pricing is None:
            return False
        if pricing.method == "direct":
            return bool(terms.less_favorable)
        if pricing.method == "score_proxy":
            values = [one.score.value for one in self.scores if one.score.value is not None]
            return not values or pricing.cutoff is None or min(values) < pricing.cutoff
        return terms.tier is None or terms.tier > best_tiers(pricing.tiers or 1)

    @property
    def deadline(self) -> date | None:
        """Last day on which the letter is in time; None where no number of days is set."""
        start = self.counted_from
        return start + timedelta(days=self.days_allowed) if start else None

    @property
    def counted_from(self) -> date | None:
        """Day that the time allowed is counted from."""
        if self.kind == "right" or not self.under("US"):
            return None
        if self.kind == "reasons":
            return self.dates.requested
        if self.kind in ("account", "review"):
            return self.dates.acted or self.dates.received
        complete = self.dates.completed or self.dates.received
        return self.dates.received if self.kind == "incomplete" else complete

    @property
    def days_allowed(self) -> int:
        """Days from then: 30, or 5 after a raised rate takes effect."""
        return REVIEW_DAYS if self.kind == "review" else NOTICE_DAYS

    @property
    def due(self) -> date:
        """Day by which an applicant has to answer."""
        return self.dates.notice + timedelta(days=self.config.response_days)

    @property
    def months_kept(self) -> int:
        """Months for which the law asks that the record be kept."""
        return BUSINESS_RETENTION_MONTHS if self.grounds.business else RETENTION_MONTHS


def best_tiers(tiers: int) -> int:
    """How many of the lowest-priced tiers get no notice: one of up to four, else two and up to 40 percent.

    Of five or more, the top two and any other that with them is no less than the top 30 and no more than
    the top 40 percent (12 CFR 1022.72(b)(2)(iii)).
    """
    if tiers <= 4:
        return 1
    fewest, most = math.ceil(3 * tiers / 10), 4 * tiers // 10
    return max(2, min(fewest, most))


def months_after(day: date, months: int) -> date:
    """The same day of the month ``months`` later, or that month's last day."""
    years, month = divmod(day.month - 1 + months, 12)
    for last in range(day.day, 27, -1):
        try:
            return date(day.year + years, month + 1, last)
        except ValueError:
            continue
    return date(day.year + years, month + 1, day.day)


def long_date(day: date) -> str:
    """A date as an American letter writes it: ``November 24, 2026``."""
    return f"{day:%B} {day.day}, {day.year}"
