"""Fit a risk model on past applications: split, trees, calibration, cut-off, background."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from lendsafe.errors import DataError
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.decision import Facts, Policy
from lendsafe.risk.features import FeatureSet, code_index, feature_set, numbers
from lendsafe.risk.model import ranking, seen, splits
from lendsafe.risk.model.bins import Bins, fields_read, inputs
from lendsafe.risk.model.classifier import RiskModel
from lendsafe.risk.model.fitted import Fitted, Share, Training
from lendsafe.risk.model.owners import duplicates, owners
from lendsafe.risk.model.scale import cutoff_for_approval_rate, cutoff_for_expected_loss, points
from lendsafe.risk.model.shapley import Attribution
from lendsafe.risk.model.unknown import filled

OUTCOME, IDENTIFIER = "defaulted", "applicant_id"
TEST_SHARE = 0.2
FEWEST_DEFAULTS = 20
FEWEST_BACKGROUND = 30
MOST_REASONED = 2_000  # declines whose first reasons are counted at development
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Past:
    """Past applications with known outcomes, and how they are split.

    Attributes:
        rows: Which rows of the file they are, ``(n,)``.
        frame: Their columns.
        values: Encoded features, ``(n, columns)``.
        outcome: 0 repaid, 1 defaulted, ``(n,)``.
        owner: Label of rows that belong together, ``(n,)``.
        weights: Loans that each row stands for, ``(n,)``, or None.
        held_out: Rows that are kept from training, ``(n,)``.
        until: Latest date in training; empty without dates.
        customers: Distinct groups in training; 0 without groups.
        duplicates: Rows that repeat another one under another identifier.
    """

    rows: NDArray[np.int64]
    frame: pd.DataFrame
    values: Floats
    outcome: NDArray[np.int64]
    owner: NDArray[Any]
    weights: Floats | None
    held_out: NDArray[np.bool_]
    until: str
    customers: int
    duplicates: int


def fit(
    frame: pd.DataFrame,
    config: RiskConfig | None = None,
    features: FeatureSet | None = None,
    *,
    groups: Sequence[Any] | None = None,
    weights: Sequence[float] | None = None,
    dates: Sequence[Any] | None = None,
) -> Fitted:
    """Fit a model on past applications with outcomes.

    A fifth of the applications is held out and never seen. With ``dates`` it is the latest fifth, so
    that the model is measured out of time.

    Args:
        frame: One row per loan: features, ``defaulted`` (0, 1, or NaN where the outcome is not
            known; such rows are left out), and ``applicant_id`` if rows belong together.
        config: Settings.
        features: What the model looks at; all of the consumer product by default.
        groups: Customer of each row, ``(n,)``: the loans of one stay on one side of every split.
        weights: Loans that each row stands for, ``(n,)``, such as after sampling one outcome more often.
        dates: Date of each application, ``(n,)``.

    Raises:
        DataError: If the outcome is missing or too rare to learn from, or a date or weight cannot be used.
    """
    settings = config or RiskConfig()
    chosen = features or feature_set()
    rules = Policy(chosen)
    past = prepare(frame, settings, chosen, groups=groups, weights=weights, dates=dates)
    inside = np.flatnonzero(~past.held_out)
    values, target = filled(past.values[inside], chosen, settings), past.outcome[inside]
    counts = None if past.weights is None else past.weights[inside]
    if min(target.sum(), len(target) - target.sum()) < FEWEST_DEFAULTS:
        raise DataError(
            f"{int(target.sum())} defaults in {len(target)} training rows; "
            f"at least {FEWEST_DEFAULTS} of each outcome are needed."
        )
    model = RiskModel.from_config(settings, [f.constraint for f in chosen.columns])
    model.fit(values, target, groups=past.owner[inside], weights=counts)
    out = Facts(past.frame.iloc[inside], rules).blocked
    honest = np.asarray(expit(model.out_of_fold_), dtype=np.float64)
    cutoff = chosen.product.policy.cutoff or _cutoff(honest, out, settings, counts)
    fitted = Fitted(
        ensemble=model.ensemble_,
        features=chosen,
        calibration=model.calibration_,
        background=background(past.values[inside], model.predict_proba(values)[:, 1], out, cutoff, settings),
        cutoff=cutoff,
        policy=rules,
        config=settings,
        training=Training(
            rows=len(inside),
            rows_without_outcome=len(frame) - len(past.outcome),
            rows_held_out=int(past.held_out.sum()),
            defaults=int(target.sum()),
            depth=model.depth_,
            trees=model.n_trees_,
            test_share=TEST_SHARE,
            split="by date" if past.until else "by customer" if groups is not None else "by application",
            until=past.until,
            groups=past.customers,
            duplicates=past.duplicates,
            weighted=counts is not None,
            approval_rate=float(np.average((honest <= cutoff) & ~out, weights=counts)),
            scores=Bins.of("score", points(model.out_of_fold_, cutoff, settings)),
            inputs=tuple(
                Bins.of(name, column) for name, column in inputs(past.values[inside], chosen).items()
            ),
            fields=tuple(
                Bins.of(name, column)
                for name, column in fields_read(past.frame.iloc[inside], chosen.product).items()
            ),
            seen=seen.packed(seen.hashes(past.values[inside])),
        ),
    )
    declined = inside[(honest > cutoff) & ~out][:MOST_REASONED]
    return dataclasses.replace(
        fitted,
        training=dataclasses.replace(fitted.training, reasons=_first_reasons(fitted, past.values[declined])),
    )


def prepare(
    frame: pd.DataFrame,
    config: RiskConfig,
    features: FeatureSet,
    *,
    groups: Sequence[Any] | None = None,
    weights: Sequence[float] | None = None,
    dates: Sequence[Any] | None = None,
) -> Past:
    """The applications with outcomes, encoded, and which of them are held out.

    Raises:
        DataError: If an outcome, a date or a weight cannot be used.
    """
    rows = with_outcome(frame)
    past = frame.iloc[rows].reset_index(drop=True)
    values = features.matrix(past)
    outcome = numbers(past, OUTCOME).astype(np.int64)
    content = seen.hashes(values, outcome)
    names = identifiers(past, content)
    customers = None if groups is None else np.asarray(groups, dtype=object)[rows]
    owner = owners(names, content, customers)
    when = None if dates is None else days(np.asarray(dates, dtype=object)[rows])
    out = (
        splits.held_out(list(owner), TEST_SHARE, config.seed)
        if when is None
        else splits.latest(when, TEST_SHARE)
    )
    inside = ~out
    return Past(
        rows=rows,
        frame=past,
        values=values,
        outcome=outcome,
        owner=owner,
        weights=None if weights is None else _weights(np.asarray(weights, dtype=np.float64)[rows]),
        held_out=out,
        until="" if when is None else str(when[inside].max())[:10],
        customers=0 if customers is None else int(pd.Series(customers[inside]).nunique()),
        duplicates=duplicates(names, content),
    )


def with_outcome(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Positions of the rows whose outcome is known.

    Raises:
        DataError: If there is no outcome column, or it holds something other than 0 and 1.
    """
    if OUTCOME not in frame:
        raise DataError(f"There is no column '{OUTCOME}' (0 repaid, 1 defaulted); training needs outcomes.")
    known = frame[OUTCOME].notna().to_numpy()
    column = frame[OUTCOME][known]
    wrong = ~column.isin([0, 1, True, False])
    if wrong.any():
        raise DataError(f"'{OUTCOME}' is {column[wrong].iloc[0]!r}; expected 0 or 1.")
    return np.flatnonzero(known)


def identifiers(frame: pd.DataFrame, content: seen.Hashes) -> NDArray[Any]:
    """Application of each row: ``applicant_id``, or its content without one."""
    return np.asarray(frame[IDENTIFIER].astype(str) if IDENTIFIER in frame else content.astype(str))


def days(dates: Sequence[Any] | NDArray[Any]) -> NDArray[np.datetime64]:
    """Dates as days.

    Raises:
        DataError: Naming the first that is no date.
    """
    found = pd.to_datetime(pd.Series(list(dates)), errors="coerce", format="ISO8601")
    if found.isna().any():
        wrong = list(dates)[int(np.flatnonzero(found.isna())[0])]
        raise DataError(f"A date is {wrong!r}; expected YYYY-MM-DD for every application.")
    return found.to_numpy().astype("datetime64[D]")


def background(
    values: Floats, probability: Floats, out: NDArray[np.bool_], cutoff: float, config: RiskConfig
) -> Floats:
    """Rows that applicants are compared with, frozen with the model.

    ``near_cutoff``: approved applicants within a band of the cut-off, "at or slightly above the
    minimum passing score" (comment 9(b)(2)-5, first method); at least 30, the nearest, if the band
    holds fewer. ``all_applicants``: the second method. A seeded draw where there are too many.

    Args:
        values: Encoded rows, ``(n, columns)``.
        probability: Default probability of each, ``(n,)``.
        out: Rows that a rule declines or that are incomplete, ``(n,)``.
        cutoff: Largest probability that is approved.
        config: Baseline, band width and size.
    """
    rows = np.arange(len(values))
    if config.baseline == "near_cutoff":
        distance = logit(cutoff) - logit(probability)
        approved = np.flatnonzero((distance >= -1e-9) & ~out)
        nearest = approved[np.argsort(distance[approved], kind="stable")]
        inside = int(np.count_nonzero(distance[approved] <= config.baseline_band))
        rows = nearest[: max(inside, FEWEST_BACKGROUND)]
    if not len(rows):
        raise DataError("No application is approved at this cut-off; there is nobody to compare with.")
    if len(rows) > config.background_rows:
        rows = np.random.default_rng(config.seed).choice(rows, config.background_rows, replace=False)
    return values[np.sort(rows)]


def _weights(found: Floats) -> Floats:
    if not (np.isfinite(found) & (found > 0)).all():
        wrong = found[~(np.isfinite(found) & (found > 0))][0]
        raise DataError(f"A weight is {wrong:g}; expected a number above 0 for every application.")
    return found


def _cutoff(probability: Floats, out: NDArray[np.bool_], config: RiskConfig, weights: Floats | None) -> float:
    if config.loss_ratio > 0:
        return cutoff_for_expected_loss(config.loss_ratio)
    return cutoff_for_approval_rate(probability, out, config.approval_rate, weights)


def _first_reasons(fitted: Fitted, values: Floats) -> tuple[Share, ...]:
    """How often each reason comes first among applicants whom the score declines."""
    codes = fitted.features.codes
    if not len(values):
        return ()
    trees = Attribution(fitted.ensemble, filled(fitted.background, fitted.features, fitted.config))
    pushes = fitted.calibration.slope * trees(filled(values, fitted.features, fitted.config))
    index = code_index(values, fitted.features.columns, codes)
    order, _ = ranking.top(ranking.grouped(pushes, index, len(codes)), fitted.config)
    counts = Counter(codes[c] for c in order[:, 0].tolist())
    return tuple(Share(name=code, count=counts[code]) for code in codes if counts[code])
