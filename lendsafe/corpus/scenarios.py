"""Random but coherent assessments: any valid combination of factors, independent of any process.

For tests and pretraining text. A figure fits the side that its factor is on: an adverse
delinquency has late payments to show, a favorable one has none.
"""

from typing import Any, TypeVar, get_args

from lendsafe.corpus.wordings import Random
from lendsafe.reasons import catalogue
from lendsafe.records import Applicant, Assessment, Detail, Purpose, Reason, Register, Strength, Style

T = TypeVar("T")

MAX_STRENGTHS = 4
MAX_AGAINST = 3  # factors that weighed against an approval
MAX_REASONS = 4
DECLINED_SHARE = 0.45

# code -> (field, lowest and highest value when adverse, the same when favorable)
_RANGES: dict[str, tuple[str, tuple[float, float], tuple[float, float]]] = {
    "delinquency": ("delinquencies_24m", (1, 6), (0, 0)),
    "bankruptcy": ("bankruptcies", (1, 2), (0, 0)),
    "collections": ("collections", (1, 4), (0, 0)),
    "debt_to_income": ("debt_to_income", (36, 70), (3, 30)),
    "utilization": ("revolving_utilization", (55, 110), (0, 35)),
    "inquiries": ("inquiries_6m", (3, 12), (0, 2)),
    "new_accounts": ("accounts_opened_24m", (3, 9), (0, 2)),
    "credit_history": ("oldest_account_months", (2, 40), (72, 400)),
    "employment_length": ("employment_months", (0, 18), (36, 360)),
}

_PERCENT = ("debt_to_income", "revolving_utilization")
_OUTSIDE_FILE = ("debt_to_income", "income_for_amount", "employment_length", "unverified_income")


def random_assessment(rng: Random) -> tuple[Assessment, Style]:
    """Draw an approval or a decline with any factors, and a style.

    Args:
        rng: Source of chance; ``random.Random`` or ``numpy.random.Generator``.
    """
    style = Style(register=choose(get_args(Register), rng), detail=choose(get_args(Detail), rng))
    codes = shuffled(_possible_codes(rng), rng)
    if rng.random() < DECLINED_SHARE:
        adverse, favorable = codes[: 1 + _below(MAX_REASONS, rng)], codes[:0]
    else:
        helped = 1 + _below(MAX_STRENGTHS, rng)
        hurt = _below(MAX_AGAINST + 1, rng)
        favorable, adverse = codes[:helped], codes[helped : helped + hurt]
    applicant = _applicant(adverse, rng)
    assessment = Assessment(
        applicant=applicant,
        decision="approved" if favorable else "declined",
        default_probability=round(0.02 + 0.13 * rng.random() if favorable else 0.2 + 0.6 * rng.random(), 4),
        cutoff=0.18,
        reasons=_weighed(adverse, 1, rng),
        strengths=_weighed(favorable, -1, rng),
    )
    return assessment, style


def _possible_codes(rng: Random) -> tuple[str, ...]:
    """Codes that may occur together: without a credit file nothing on it can be a factor."""
    codes = tuple(code for code in catalogue() if code != "no_credit_file")
    return codes if rng.random() < 0.8 else ("no_credit_file", *_OUTSIDE_FILE)


def choose(options: tuple[T, ...], rng: Random) -> T:
    """One of ``options``, all as likely."""
    return options[_below(len(options), rng)]


def shuffled(items: tuple[T, ...], rng: Random) -> tuple[T, ...]:
    """``items`` in an order drawn evenly from all orders."""
    rest, drawn = list(items), []
    while rest:
        drawn.append(rest.pop(_below(len(rest), rng)))
    return tuple(drawn)


def _weighed(codes: tuple[str, ...], sign: int, rng: Random) -> tuple[Reason, ...]:
    """Contributions in falling size, with strengths that never rise along the list."""
    sizes = sorted((0.05 + 1.6 * rng.random() for _ in codes), reverse=True)
    return tuple(
        Reason(code=code, contribution=round(sign * size, 4), strength=_strength(size))
        for code, size in zip(codes, sizes, strict=True)
    )


def _strength(size: float) -> Strength:
    return "strong" if size > 1.0 else "moderate" if size > 0.45 else "slight"


def _applicant(adverse: tuple[str, ...], rng: Random) -> Applicant:
    low, high = (0.2, 0.9) if "income_for_amount" in adverse else (1.5, 9.0)
    amount = 500 * (2 + _below(99, rng))
    values: dict[str, Any] = {
        "loan_amount": float(amount),
        "loan_term_months": choose((24, 36, 48, 60), rng),
        "loan_purpose": choose(get_args(Purpose), rng),
        "annual_income": round(max(9_000, 1.8 * amount * (low + (high - low) * rng.random())), -2),
        "income_verified": "unverified_income" not in adverse,
        "credit_score": 560 + _below(220, rng),
        "open_accounts": 1 + _below(18, rng),
    }
    for code, (field, bad, good) in _RANGES.items():
        lowest, highest = bad if code in adverse else good
        value = lowest + (highest - lowest) * rng.random()
        values[field] = round(value, 1 if field in _PERCENT else None)
    if "no_credit_file" in adverse:
        values |= dict.fromkeys(field for code, (field, _, _) in _RANGES.items() if code not in _OUTSIDE_FILE)
        values |= {"credit_score": None, "open_accounts": None}
    return Applicant(applicant_id=f"S{_below(10**9, rng):09d}", **values)


def _below(count: int, rng: Random) -> int:
    return min(count - 1, int(rng.random() * count))
