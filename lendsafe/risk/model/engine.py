"""From applications to assessments: score, decision and reasons of one fitted model."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray
from scipy.special import expit

from lendsafe.errors import DataError
from lendsafe.records import Applicant, Assessment
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.decision import Facts
from lendsafe.risk.features import FeatureSet, code_index, numbers, to_frame
from lendsafe.risk.model import backend, ranking, store, training
from lendsafe.risk.model.fitted import Fitted
from lendsafe.risk.model.outcomes import Scored, assessments, in_doubt, table
from lendsafe.risk.model.scale import points
from lendsafe.risk.model.shapley import Attribution
from lendsafe.risk.model.unknown import filled

if TYPE_CHECKING:
    from lendsafe.risk.model.explanation import Explained

Floats = NDArray[np.float64]
OFFER_ROUNDING = 500.0
MANY_ROWS = 1_000  # from here on several threads are worth starting


@dataclass(frozen=True, repr=False)
class RiskEngine(Fitted):
    """A fitted model at work; immutable, and the same wherever it is loaded."""

    @classmethod
    def fit(
        cls,
        frame: pd.DataFrame,
        config: RiskConfig | None = None,
        features: FeatureSet | None = None,
        *,
        groups: Sequence[Any] | None = None,
        weights: Sequence[float] | None = None,
        dates: Sequence[Any] | None = None,
    ) -> Self:
        """Fit a model on past applications; arguments as :func:`~lendsafe.risk.model.training.fit`."""
        fitted = training.fit(frame, config, features, groups=groups, weights=weights, dates=dates)
        return cls._of(fitted)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Read and check a model folder.

        Raises:
            DiskError: If a file cannot be read.
            RefusedError: If a file fails its checks.
        """
        return cls._of(store.load(Path(folder)))

    @classmethod
    def _of(cls, fitted: Fitted) -> Self:
        return cls(**{f.name: getattr(fitted, f.name) for f in dataclasses.fields(Fitted)})

    def __repr__(self) -> str:
        return (
            f"RiskEngine({self.identity}: {len(self.ensemble.trees)} trees of depth {self.training.depth} on "
            f"{len(self.features.features)} features, approves up to a default probability of {self.cutoff:.3f})"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: a small table."""
        facts = {
            "Identity": self.identity,
            "Trees": f"{len(self.ensemble.trees)} of depth {self.training.depth}",
            "Features": ", ".join(f.name for f in self.features.features),
            "Trained on": f"{self.training.rows:,} applications, {self.training.defaults:,} defaults",
            "Approves up to": f"{self.cutoff:.3f} default probability",
        }
        rows = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in facts.items())
        return f"<table><caption>Risk model</caption>{rows}</table>"

    def save(self, folder: Path | str) -> None:
        """Write ``model.ubj`` and ``model.json``."""
        store.save(self, Path(folder))

    @cached_property
    def _boosters(self) -> dict[int, xgboost.Booster]:
        return {}

    def _booster(self, rows: int = 1) -> xgboost.Booster:
        """The booster for a number of rows: one thread for few, all for many.

        Each row is summed by one thread, so the result does not depend on how many there are; but to
        set the number anew for each call would cost more than the prediction of one row.
        """
        threads = 1 if rows < MANY_ROWS else os.cpu_count() or 1
        if threads not in self._boosters:
            self._boosters[threads] = backend.booster(self.ensemble, threads)
        return self._boosters[threads]

    @cached_property
    def _attribution(self) -> Attribution:
        return Attribution(self.ensemble, self._filled(self.background))

    @cached_property
    def _approved_background(self) -> Attribution:
        approved = self.default_probability(self.background) <= self.cutoff
        return Attribution(self.ensemble, self._filled(self.background[approved]))

    def _filled(self, values: Floats) -> Floats:
        return filled(values, self.features, self.config)

    @cached_property
    def _native_baseline(self) -> Floats:
        return self._native(self.background).mean(axis=0)

    def log_odds(self, values: Floats) -> Floats:
        """Calibrated log-odds of default of encoded rows, ``(n,)``."""
        margins = backend.predict(self._booster(len(values)), self._filled(values))
        return self.calibration.slope * margins + self.calibration.intercept

    def default_probability(self, values: Floats) -> Floats:
        """Calibrated probability of default of encoded rows, ``(n,)``."""
        return np.asarray(expit(self.log_odds(values)), dtype=np.float64)

    def attribute(self, values: Floats) -> Floats:
        """Interventional Shapley values on the calibrated log-odds, ``(n, columns)``."""
        return self.calibration.slope * self._attribution(self._filled(values))

    def _native(self, values: Floats) -> Floats:
        matrix = xgboost.DMatrix(self._filled(values), missing=np.nan, nthread=1)
        contributions = np.asarray(
            self._booster(len(values)).predict(matrix, pred_contribs=True), dtype=np.float64
        )
        return self.calibration.slope * contributions[:, :-1]

    def grouped(self, values: Floats, contributions: Floats) -> Floats:
        """Contributions summed by reason, ``(n, codes)``."""
        index = code_index(values, self.features.columns, self.features.codes)
        return ranking.grouped(contributions, index, len(self.features.codes))

    def score(self, frame: pd.DataFrame) -> Scored:
        """Probability, contributions by reason, points and agreement of applications."""
        facts = Facts(frame, self.policy)
        values = self.features.matrix(frame, facts.columns)
        log_odds = self.log_odds(values)
        contributions = self._contributions(values, log_odds)
        native = self.grouped(values, self._native(values) - self._native_baseline)
        return Scored(
            facts=facts,
            default_probability=np.asarray(expit(log_odds), dtype=np.float64),
            contributions=contributions,
            codes=self.features.codes,
            points=points(log_odds, self.cutoff, self.config),
            agreement=agreement(contributions, native, self.config),
            counteroffers=self._counteroffers(facts, log_odds),
            key_factors=self._key_factors(contributions),
            risk_model=self.identity,
        )

    def _contributions(self, values: Floats, log_odds: Floats) -> Floats:
        """Contributions by reason; none of those whom the score declines is without an adverse one.

        Against approved rows alone the pushes of a decline add up to more than nothing, so one at
        least is adverse; against all applicants they need not.
        """
        found = self.grouped(values, self.attribute(values))
        without = np.flatnonzero((expit(log_odds) > self.cutoff) & (np.round(found, 9).max(axis=1) <= 0))
        if len(without):
            pushes = self.calibration.slope * self._approved_background(self._filled(values[without]))
            found[without] = self.grouped(values[without], pushes)
        return found

    def decide(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Decisions and reasons of any kind of table, one row per application, in its order."""
        return table(self.score(frame), self.cutoff, self.config)

    def explain(self, frame: pd.DataFrame) -> "list[Explained]":
        """Decision, reasons and what is behind them, of each application of a frame."""
        from lendsafe.risk.model.explanation import explain

        return explain(self, frame)

    def assess(self, applicant: Applicant, key_factors: Sequence[str] = ()) -> Assessment:
        """Assess one applicant.

        Args:
            applicant: The application.
            key_factors: What most hurt the bureau's score, as the bureau sent it with the score.
        """
        found = self.assess_many([applicant])[0]
        return dataclasses.replace(found, key_factors=tuple(key_factors)) if key_factors else found

    def assess_many(self, applications: Sequence[Applicant] | pd.DataFrame) -> list[Assessment]:
        """Assess applications, in their order.

        Args:
            applications: Records of the model's product, or a frame with its fields as columns.

        Raises:
            DataError: If they are of a product that decides otherwise, or a value breaks its range.
        """
        if not isinstance(applications, pd.DataFrame):
            self._refuse_other_products(applications)
        frame = applications if isinstance(applications, pd.DataFrame) else to_frame(applications)
        people = None if isinstance(applications, pd.DataFrame) else applications
        if not len(frame):
            return []
        return assessments(self.score(frame), self.cutoff, self.config, people)

    def _refuse_other_products(self, applicants: Sequence[Applicant]) -> None:
        own = self.features.product
        for one in applicants:
            if one.product is not own and one.product.decisive_sha256 != own.decisive_sha256:
                raise DataError(
                    f"Application '{one.applicant_id}' is of product '{one.product.name}'; this model was trained for "
                    f"'{own.name}', which differs in fields, reasons or policy. Train again with the product in use."
                )

    def _counteroffers(self, facts: Facts, log_odds: Floats) -> Floats | None:
        """Largest smaller amount that would pass, in whole 500 USD; NaN where none.

        With the constraints a smaller amount is never riskier, so the largest is found by halving;
        without them every smaller amount is tried, largest first.
        """
        share = self.config.counteroffer_share
        amount = self.features.product.request.amount
        if not share or amount not in self.features.inputs:
            return None
        failed = np.flatnonzero((expit(log_odds) > self.cutoff) & ~facts.blocked)
        rows = facts.frame.iloc[failed]
        asked = numbers(rows, amount)

        def passes(which: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.bool_]:
            smaller = rows.iloc[which].assign(**{amount: steps * OFFER_ROUNDING})
            return self.default_probability(self.features.matrix(smaller)) <= self.cutoff

        low = np.maximum(np.ceil(share * asked / OFFER_ROUNDING), 1).astype(np.int64)
        high = np.ceil(asked / OFFER_ROUNDING).astype(np.int64) - 1
        search = _halving if self.config.monotone else _descent
        found = np.full(len(log_odds), np.nan)
        found[failed] = search(low, high, passes) * OFFER_ROUNDING
        return found

    @cached_property
    def fields_used(self) -> frozenset[str]:
        """Fields that can change a decision: inputs of features that a tree splits on, and of rules."""
        return self._read(by_value=False)

    def _read(self, *, by_value: bool) -> frozenset[str]:
        product = self.features.product
        split = {int(f) for tree in self.ensemble.trees for f in tree.feature[~tree.leaves]}
        names = {
            self.features.columns[i].stands_for or self.features.columns[i].name.split("=")[0] for i in split
        }
        names |= {rule.field for rule in self.policy.knockouts}
        return frozenset(one for name in names for one in product.inputs(name, by_value=by_value))

    @cached_property
    def uses_score(self) -> bool:
        """Whether the value of the credit score that is obtained can change a decision."""
        return self.features.product.score.field in self._read(by_value=True)

    def blocked(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """Applications that a rule declines or that are incomplete, ``(n,)``."""
        return Facts(frame, self.policy).blocked

    def _key_factors(self, contributions: Floats) -> list[tuple[str, ...]] | None:
        """Key factors of this model's own score, if that is the score which is disclosed.

        A bureau's key factors come with the bureau's score and are never inferred here.
        """
        if self.config.score_disclosed != "proprietary":
            return None
        order = np.argsort(-np.round(contributions, 9), axis=1, kind="stable")
        statements = list(self.features.statements.values())
        inquiries = next((i for i, text in enumerate(statements) if "inquiries" in text.lower()), -1)
        found = []
        for row, picked in zip(contributions, order.tolist(), strict=True):
            harmful = [c for c in picked if row[c] > 0]
            kept = harmful[:4] + [c for c in harmful[4:] if c == inquiries]  # 15 USC 1681g(f)(9)
            found.append(tuple(statements[c] for c in kept))
        return found


Passes = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]


def _halving(low: NDArray[np.int64], high: NDArray[np.int64], passes: Passes) -> Floats:
    """Largest step from ``low`` to ``high`` that passes, where all below one that passes do; NaN if none."""
    every = np.arange(len(low))
    offered = (low <= high) & passes(every, low)
    high = np.where(offered, high, low)
    while (low < high).any():
        middle = (low + high + 1) // 2
        ok = passes(every, middle)
        low, high = np.where(ok, middle, low), np.where(ok, high, middle - 1)
    return np.where(offered, low, np.nan)


def _descent(low: NDArray[np.int64], high: NDArray[np.int64], passes: Passes) -> Floats:
    """Largest step from ``low`` to ``high`` that passes, found by trying each; NaN if none."""
    found = np.full(len(low), np.nan)
    step = high.copy()
    while len(still := np.flatnonzero(np.isnan(found) & (step >= low))):
        ok = passes(still, step[still])
        found[still[ok]] = step[still[ok]]
        step[still] -= 1
    return found


def agreement(one: Floats, other: Floats, config: RiskConfig) -> Floats:
    """Share of the reasons that two attributions have in common, ``(n,)``; 1 where neither has any."""
    chosen = [_chosen(contributions, config) for contributions in (one, other)]
    both = (chosen[0] & chosen[1]).sum(axis=1)
    either = (chosen[0] | chosen[1]).sum(axis=1)
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


def needs_review(assessment: Assessment, config: RiskConfig) -> bool:
    """Whether a person should look at an assessment: see :func:`~lendsafe.risk.model.outcomes.in_doubt`."""
    return in_doubt(assessment.decision, assessment.reasons, assessment.agreement, config)


def _chosen(contributions: Floats, config: RiskConfig) -> NDArray[np.bool_]:
    order, counts = ranking.top(contributions, config)
    found = np.zeros(contributions.shape, dtype=bool)
    used = np.arange(order.shape[1]) < counts[:, None]
    np.put_along_axis(found, order, used, axis=1)
    return found


def fit_risk(frame: pd.DataFrame, config: RiskConfig | None = None, **more: Any) -> RiskEngine:
    """Fit a model on past applications; arguments as :meth:`RiskEngine.fit`."""
    return RiskEngine.fit(frame, config, **more)


def score(frame: pd.DataFrame, risk: RiskEngine | Path | str) -> pd.DataFrame:
    """Decisions and reasons of a frame by a model or by the folder of one."""
    engine = risk if isinstance(risk, RiskEngine) else RiskEngine.load(risk)
    return engine.decide(frame)
