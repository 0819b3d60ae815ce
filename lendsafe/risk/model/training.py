"""Fit a risk model on past applications: split, trees, calibration, cut-off, background."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from lendsafe.errors import DataError
from lendsafe.product import Product
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.decision import Policy, blocked, cutoff_for_approval_rate, cutoff_for_expected_loss
from lendsafe.risk.features import FeatureSet, feature_set, numbers
from lendsafe.risk.model import splits
from lendsafe.risk.model.bins import score_bins
from lendsafe.risk.model.classifier import RiskModel
from lendsafe.risk.model.fitted import Fitted
from lendsafe.risk.model.scale import points
from lendsafe.risk.model.trees import from_document

OUTCOME, IDENTIFIER = "defaulted", "applicant_id"
TEST_SHARE = 0.2
FEWEST_DEFAULTS = 20
FEWEST_BACKGROUND = 30
Floats = NDArray[np.float64]


def fit(
    frame: pd.DataFrame,
    config: RiskConfig | None = None,
    features: FeatureSet | None = None,
) -> Fitted:
    """Fit a model on past applications with outcomes.

    A fifth of the applications is held out and never seen; :func:`test_rows` finds it again.

    Args:
        frame: One row per loan: features, ``defaulted`` (0, 1, or NaN where the outcome is not
            known; such rows are left out), and ``applicant_id`` if rows belong together.
        config: Settings.
        features: What the model looks at; all of the consumer product by default.

    Raises:
        DataError: If the outcome is missing or too rare to learn from.
    """
    settings = config or RiskConfig()
    chosen = features or feature_set()
    rules = Policy(chosen)
    rows = with_outcome(frame)
    rows = rows[~test_rows(rows, settings)].reset_index(drop=True)
    values = chosen.encode(rows)
    target = rows[OUTCOME].to_numpy(dtype=np.int64)
    if min(target.sum(), len(target) - target.sum()) < FEWEST_DEFAULTS:
        raise DataError(
            f"{int(target.sum())} defaults in {len(target)} training rows; "
            f"at least {FEWEST_DEFAULTS} of each outcome are needed."
        )
    model = RiskModel.from_config(settings, [f.constraint for f in chosen.columns])
    model.fit(values, target, groups=identifiers(rows))
    out = blocked(rows, rules)
    cutoff = chosen.product.policy.cutoff or _cutoff(np.asarray(expit(model.out_of_fold_)), out, settings)
    probability = model.predict_proba(values)[:, 1]
    return Fitted(
        ensemble=from_document(_document(model)),
        features=chosen,
        calibration=model.calibration_,
        background=background(values.to_numpy(), probability, out, cutoff, settings),
        cutoff=cutoff,
        policy=rules,
        config=settings,
        training={
            "rows": len(rows),
            "rows_without_outcome": len(frame) - int(frame[OUTCOME].notna().sum()),
            "defaults": int(target.sum()),
            "score_bins": score_bins(points(model.decision_function(values), settings)),
            "depth": model.depth_,
            "trees": model.n_trees_,
            "test_share": TEST_SHARE,
            "data_sha256": data_hash(frame, chosen.product),
        },
    )


def with_outcome(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows whose outcome is known.

    Raises:
        DataError: If there is no outcome column, or it holds something other than 0 and 1.
    """
    if OUTCOME not in frame:
        raise DataError(f"There is no column '{OUTCOME}' (0 repaid, 1 defaulted); training needs outcomes.")
    known = frame[frame[OUTCOME].notna()]
    wrong = ~known[OUTCOME].isin([0, 1, True, False])
    if wrong.any():
        raise DataError(f"'{OUTCOME}' is {known[OUTCOME][wrong].iloc[0]!r}; expected 0 or 1.")
    return known


def test_rows(frame: pd.DataFrame, config: RiskConfig) -> NDArray[np.bool_]:
    """Which rows are held out from training, ``(n,)``; the same whatever the order of the file."""
    return splits.held_out(list(identifiers(frame)), TEST_SHARE, config.seed)


def identifiers(frame: pd.DataFrame) -> NDArray[Any]:
    """Application of each row: ``applicant_id``, or a hash of the row itself without one."""
    if IDENTIFIER in frame:
        return np.asarray(frame[IDENTIFIER].astype(str))
    return np.asarray(pd.util.hash_pandas_object(frame, index=False))


def data_hash(frame: pd.DataFrame, product: Product) -> str:
    """SHA-256 of a table's values, independent of the order of rows and columns and of number types.

    What is worked out from the others does not count: a table is the same with and without it.
    """
    frame = frame.drop(columns=[one.name for one in product.in_order_of_need], errors="ignore")
    plain = pd.DataFrame(
        {
            name: numbers(frame, name)
            if pd.api.types.is_numeric_dtype(frame[name])
            else frame[name].astype(object).where(frame[name].notna(), "").astype(str)
            for name in sorted(frame)
        }
    )
    rows = np.sort(pd.util.hash_pandas_object(plain, index=False).to_numpy())
    return hashlib.sha256(rows.tobytes() + "|".join(plain).encode()).hexdigest()


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
        distance = _logit(cutoff) - _logit(probability)
        approved = np.flatnonzero((distance >= -1e-9) & ~out)
        nearest = approved[np.argsort(distance[approved], kind="stable")]
        inside = int(np.count_nonzero(distance[approved] <= config.baseline_band))
        rows = nearest[: max(inside, FEWEST_BACKGROUND)]
    if not len(rows):
        raise DataError("No application is approved at this cut-off; there is nobody to compare with.")
    if len(rows) > config.background_rows:
        rows = np.random.default_rng(config.seed).choice(rows, config.background_rows, replace=False)
    return values[np.sort(rows)]


def _cutoff(probability: Floats, out: NDArray[np.bool_], config: RiskConfig) -> float:
    if config.loss_ratio > 0:
        return cutoff_for_expected_loss(config.loss_ratio)
    return cutoff_for_approval_rate(probability, out, config.approval_rate)


def _document(model: RiskModel) -> Any:
    from lendsafe.risk.model import ubjson

    return ubjson.loads(bytes(model.booster_.save_raw("ubj")))


def _logit(probability: Any) -> Any:
    return np.log(probability) - np.log1p(-probability)
