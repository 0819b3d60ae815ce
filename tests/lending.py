"""A small risk model and applications that anyone can check by eye, for tests of the whole way."""

from functools import cache
from pathlib import Path
from typing import Any

from lendsafe.corpus import process
from lendsafe.risk.model.engine import RiskEngine

NAME = "Maria Álvarez-O'Brien"
CONTACT = {"name": NAME, "address": ["12 Elm Street", "Columbus, OH 43004"]}
NOTICE_DAY = "2026-11-24"


def without_waiting_for_the_disk(monkeypatch: Any) -> None:
    """Thousands of small files are not forced to the disk, in tests that pull no plug."""
    for place in ("files", "notice.ledger", "pipeline.batch"):
        monkeypatch.setattr(f"lendsafe.{place}.sync", lambda path: None)


@cache
def engine() -> RiskEngine:
    """Trained on 3,000 synthetic applicants."""
    return RiskEngine.fit(process.history(3_000, 7).applications())


def risk_folder(folder: Path) -> Path:
    engine().save(folder / "risk")
    return folder / "risk"


def declined(number: int = 1, **changes: Any) -> dict[str, Any]:
    """An application that the model declines, as JSON values."""
    table: dict[str, Any] = {
        "applicant_id": f"LS-{number:06}",
        "loan_amount": 30_000,
        "loan_term_months": 36,
        "loan_purpose": "debt_consolidation",
        "annual_income": 41_000,
        "income_verified": True,
        "employment_months": 4,
        "debt_to_income": 46.5,
        "credit_score": 580,
        "delinquencies_24m": 3,
        "collections": 1,
        "bankruptcies": 0,
        "inquiries_6m": 6,
        "oldest_account_months": 30,
        "open_accounts": 6,
        "accounts_opened_24m": 4,
        "revolving_utilization": 91.0,
        "contact": CONTACT,
        "key_factors": ["Number of accounts with delinquency", "Too many inquiries"],
        "received": "2026-11-02",
        "score_created": "2026-11-03",
    }
    return table | changes


def approved(number: int = 1, **changes: Any) -> dict[str, Any]:
    """An application that the model approves, as JSON values."""
    better = {
        "loan_amount": 8_000,
        "annual_income": 120_000,
        "employment_months": 140,
        "debt_to_income": 12.0,
        "credit_score": 790,
        "delinquencies_24m": 0,
        "collections": 0,
        "inquiries_6m": 0,
        "oldest_account_months": 240,
        "accounts_opened_24m": 0,
        "revolving_utilization": 8.0,
    }
    return declined(number, **(better | changes))


def near_the_cutoff(number: int = 1, **changes: Any) -> dict[str, Any]:
    """An application that the model declines by a little; for less, it would approve."""
    nearer = {
        "loan_amount": 40_000,
        "employment_months": 30,
        "debt_to_income": 55.0,
        "credit_score": 660,
        "delinquencies_24m": 0,
        "collections": 0,
        "inquiries_6m": 3,
        "oldest_account_months": 90,
        "accounts_opened_24m": 1,
        "revolving_utilization": 50.0,
    }
    return declined(number, **(nearer | changes))


def incomplete(number: int = 1, **changes: Any) -> dict[str, Any]:
    """An application that cannot be decided."""
    return declined(number, **({"annual_income": None, "debt_to_income": None} | changes))
