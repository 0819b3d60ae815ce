"""The classifier: monotone boosted trees with a checked calibration, in scikit-learn's terms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import xgboost
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import chi2
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from lendsafe.errors import ConfigError
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.model import splits
from lendsafe.risk.model.backend import booster, predict, trees_of
from lendsafe.risk.model.trees import MAX_DEPTH, Ensemble, unknown_to_riskier

Floats = NDArray[np.float64]
DEFAULTS = RiskConfig()
MOST_FOR_DEPTH = 20_000  # rows that the depth is chosen on


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt's correction of the log-odds, ``slope * margin + intercept``, and whether it was needed.

    Attributes:
        slope: 1 if the margins need no correction.
        intercept: 0 if they need none.
        fitted_slope: Slope that out-of-fold margins ask for.
        fitted_intercept: Intercept that they ask for.
        p_value: Likelihood-ratio test of (1, 0) against the fitted pair; below 0.05 it is applied.
    """

    slope: float = 1.0
    intercept: float = 0.0
    fitted_slope: float = 1.0
    fitted_intercept: float = 0.0
    p_value: float = 1.0


class RiskModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Probability of default from boosted trees of depth 3 at most.

    Fitting takes three steps. Out-of-fold log loss picks the depth and the number of trees (early
    stopping, on folds of its own), the shallower where chance would decide; depth 1 is an additive
    model, which a process without interactions is estimated best by. Other folds give out-of-fold
    margins, on which Platt's calibration is fitted; it is applied only where a likelihood-ratio test
    says that the margins need it. The final trees are fitted on all rows. Values that are not known are
    NaN: the trees learn where they belong, or count them on the riskier side of every split.

    Args:
        max_depth: Deepest tree that may be chosen, 1 to 3.
        learning_rate: Shrinkage of each tree.
        max_trees: Trees at most.
        patience: Rounds without improvement before early stopping ends.
        min_child_weight: Smallest sum of hessians in a leaf.
        folds: Folds of early stopping and of calibration.
        unknown_is_riskier: Whether a value that is not known, in a column without a constraint, goes to
            the riskier side of every split.
        constraints: Per feature 1 (riskier when higher), -1 or 0; None leaves all free.
        random_state: Seed of the folds and of the trees.

    Attributes:
        classes_: Both labels; the second one is the default.
        ensemble_: Fitted trees.
        booster_: XGBoost's booster of them.
        calibration_: Fitted :class:`Calibration`.
        out_of_fold_: Calibrated out-of-fold log-odds of the training rows, ``(n,)``.
        depth_: Depth that was chosen.
        n_trees_: Number of trees that early stopping chose.
    """

    def __init__(  # noqa: PLR0913  # scikit-learn wants every parameter here
        self,
        *,
        max_depth: int = DEFAULTS.max_depth,
        learning_rate: float = DEFAULTS.learning_rate,
        max_trees: int = DEFAULTS.max_trees,
        patience: int = DEFAULTS.patience,
        min_child_weight: float = DEFAULTS.min_child_weight,
        folds: int = 3,
        unknown_is_riskier: bool = False,
        constraints: Sequence[int] | None = None,
        random_state: int = DEFAULTS.seed,
    ) -> None:
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.max_trees = max_trees
        self.patience = patience
        self.min_child_weight = min_child_weight
        self.folds = folds
        self.unknown_is_riskier = unknown_is_riskier
        self.constraints = constraints
        self.random_state = random_state

    @classmethod
    def from_config(cls, config: RiskConfig, constraints: Sequence[int] | None) -> Self:
        """The estimator that a config describes; ``constraints`` count only if it wants them."""
        return cls(
            max_depth=config.max_depth,
            learning_rate=config.learning_rate,
            max_trees=config.max_trees,
            patience=config.patience,
            min_child_weight=config.min_child_weight,
            unknown_is_riskier=config.unknown_is_riskier,
            constraints=constraints if config.monotone else None,
            random_state=config.seed,
        )

    def fit(self, X: Any, y: Any, groups: Any = None, weights: Any = None) -> Self:
        """Fit trees and calibration.

        Args:
            X: Numeric features, ``(n, features)``; NaN where not known.
            y: Two labels, ``(n,)``; the greater one is the default.
            groups: Application of each row, ``(n,)``; rows of one are never split apart.
            weights: How many loans each row stands for, ``(n,)``, above 0; one if None.

        Raises:
            ValueError: If the data are not numeric, of one class, or of more than two.
            ConfigError: If a parameter is out of range.
        """
        rows, target = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        self._check_parameters()
        self.classes_ = _two_classes(target)
        outcome = (target == self.classes_[1]).astype(np.int64)
        owner = np.arange(len(rows)) if groups is None else np.asarray(groups)
        data = _Rows(rows, outcome, np.ones(len(rows)) if weights is None else np.asarray(weights, float))
        self.depth_, self.n_trees_ = self._early_stopping(data, owner)
        margins = self._out_of_fold(data, owner)
        self.calibration_ = calibrate(margins, outcome, data.weights)
        self.out_of_fold_ = self.calibration_.slope * margins + self.calibration_.intercept
        self.ensemble_ = self._boost(data)
        self.booster_ = booster(self.ensemble_)
        return self

    def refit(self, X: Any, y: Any, *, depth: int, trees: int, weights: Any = None) -> Self:
        """Fit trees of a known depth and number, as they were found on other rows, without calibration.

        Args:
            X: Numeric features, ``(n, features)``; NaN where not known.
            y: Two labels, ``(n,)``; the greater one is the default.
            depth: Of each tree.
            trees: How many.
            weights: How many loans each row stands for, ``(n,)``; one if None.
        """
        rows, target = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        self._check_parameters()
        self.classes_ = _two_classes(target)
        outcome = (target == self.classes_[1]).astype(np.int64)
        data = _Rows(rows, outcome, np.ones(len(rows)) if weights is None else np.asarray(weights, float))
        self.depth_, self.n_trees_, self.calibration_ = depth, trees, Calibration()
        self.ensemble_ = self._boost(data)
        self.booster_ = booster(self.ensemble_)
        return self

    def decision_function(self, X: Any) -> Floats:
        """Calibrated log-odds of default, ``(n,)``."""
        margins = self.margins(X)
        return self.calibration_.slope * margins + self.calibration_.intercept

    def margins(self, X: Any) -> Floats:
        """Log-odds before calibration, ``(n,)``; what attributions add up to."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        return predict(self.booster_, np.asarray(rows, dtype=np.float64))

    def predict_proba(self, X: Any) -> Floats:
        """Probability of each class, ``(n, 2)``, default second."""
        default = expit(self.decision_function(X))
        return np.stack([1 - default, default], axis=1)

    def predict(self, X: Any) -> Any:
        """The more probable label, ``(n,)``; lending decisions use a cut-off instead."""
        riskier = self.decision_function(X) > 0
        return self.classes_[riskier.astype(int)]

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn: two classes only, NaN allowed."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        return tags

    def _check_parameters(self) -> None:
        if not 1 <= self.max_depth <= MAX_DEPTH:
            raise ConfigError(f"'max_depth' is {self.max_depth}; expected 1 to {MAX_DEPTH}.")
        if self.constraints is not None and len(self.constraints) != self.n_features_in_:
            raise ConfigError(f"{len(self.constraints)} constraints for {self.n_features_in_} features.")

    def _parameters(self, depth: int) -> dict[str, Any]:
        parameters = {
            "objective": "binary:logistic",
            "tree_method": "hist",
            "max_depth": depth,
            "eta": self.learning_rate,
            "min_child_weight": self.min_child_weight,
            "seed": self.random_state,
            "verbosity": 0,
            "nthread": 1,  # a fit takes seconds; threads that wait for each other take longer
        }
        if self.constraints is not None:
            parameters["monotone_constraints"] = tuple(int(sign) for sign in self.constraints)
        return parameters

    def _boost(self, data: "_Rows") -> Ensemble:
        """The trees of one fit."""
        found = trees_of(xgboost.train(self._parameters(self.depth_), data.matrix(), self.n_trees_))
        if not self.unknown_is_riskier:
            return found
        signs = np.zeros(found.features) if self.constraints is None else np.asarray(self.constraints)
        return unknown_to_riskier(found, signs == 0)

    def _early_stopping(self, data: "_Rows", owner: NDArray[Any]) -> tuple[int, int]:
        """The shallowest depth that is as good as the best, and its number of trees.

        As good is: its lowest out-of-fold log loss is within one standard error of the lowest of all
        (Breiman et al. 1984). A depth that chance decides is another one on the next draw of rows, and
        with it other reasons. Of many rows a draw decides on the depth, and all on the number of trees.
        """
        few, many = np.arange(len(owner)), len(owner) > MOST_FOR_DEPTH
        if many:
            few = np.random.default_rng(self.random_state).choice(len(owner), MOST_FOR_DEPTH, replace=False)
        found = [self._history(data.take(few), owner[few], depth) for depth in range(1, self.max_depth + 1)]
        if any(one is None for one in found):  # too few rows to hold any out
            return self.max_depth, min(self.max_trees, self.patience)
        tried = [one for one in found if one is not None]
        lowest, error = min(tried)[:2]
        depth, trees = next((depth, trees) for loss, _, depth, trees in tried if loss <= lowest + error)
        whole = self._history(data, owner, depth) if many else None
        return (depth, whole[3]) if whole else (depth, trees)

    def _history(
        self, data: "_Rows", owner: NDArray[Any], depth: int
    ) -> tuple[float, float, int, int] | None:
        """Lowest out-of-fold log loss, its standard error, the depth, and the trees that reach it."""
        fold = splits.folds(owner, data.outcome, self.folds, self.random_state)
        parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(self.folds)]
        parts = [pair for pair in parts if len(np.unique(data.outcome[pair[0]])) == 2 and len(pair[1])]
        if not parts:
            return None
        history = xgboost.cv(
            self._parameters(depth),
            data.matrix(),
            self.max_trees,
            folds=parts,
            metrics="logloss",
            early_stopping_rounds=self.patience,
            as_pandas=False,
        )
        at = int(np.argmin(history["test-logloss-mean"]))
        error = history["test-logloss-std"][at] / math.sqrt(len(parts))
        return history["test-logloss-mean"][at], error, depth, at + 1

    def _out_of_fold(self, data: "_Rows", owner: NDArray[Any]) -> Floats:
        fold = splits.folds(owner, data.outcome, self.folds, self.random_state + 1)
        margins = np.full(len(data.outcome), logit((data.outcome.sum() + 1) / (len(data.outcome) + 2)))
        for k in range(self.folds):
            inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            if len(outside) and len(np.unique(data.outcome[inside])) == 2:
                margins[outside] = predict(booster(self._boost(data.take(inside))), data.values[outside])
        return margins


@dataclass(frozen=True)
class _Rows:
    """What is fitted on: values ``(n, features)``, outcomes and weights ``(n,)``."""

    values: Floats
    outcome: NDArray[np.int64]
    weights: Floats

    def take(self, index: NDArray[np.int64]) -> "_Rows":
        return _Rows(self.values[index], self.outcome[index], self.weights[index])

    def matrix(self) -> xgboost.DMatrix:
        return xgboost.DMatrix(self.values, self.outcome, weight=self.weights, nthread=1)


def calibrate(margins: Floats, outcome: NDArray[np.int64], weights: Floats | None = None) -> Calibration:
    """Fit Platt's slope and intercept and test whether they are needed.

    Args:
        margins: Log-odds of rows that the model has not seen, ``(n,)``.
        outcome: 0 or 1, ``(n,)``.
        weights: How much each row counts, ``(n,)``; equally if None.
    """
    counts = np.ones(len(outcome)) if weights is None else weights / weights.mean()

    def loss(pair: Floats) -> float:
        z = np.exp(pair[0]) * margins + pair[1]  # the slope stays positive: ranks never turn round
        return float(np.sum(counts * (np.logaddexp(0, z) - outcome * z)))

    best = minimize(loss, np.zeros(2), method="BFGS")
    slope, intercept = float(np.exp(np.clip(best.x[0], -3, 3))), float(best.x[1])
    p_value = float(chi2.sf(max(0.0, 2 * (loss(np.zeros(2)) - best.fun)), df=2))
    if p_value >= 0.05:
        return Calibration(1.0, 0.0, slope, intercept, p_value)
    return Calibration(slope, intercept, slope, intercept, p_value)


def _two_classes(target: Any) -> Any:
    check_classification_targets(target)
    classes = np.unique(target)
    if type_of_target(target) not in ("binary",) or len(classes) > 2:
        raise ValueError(
            f"Only binary classification is supported. The type of the target is {type_of_target(target)}."
        )
    if len(classes) < 2:
        raise ValueError(f"The target has only one class, {classes[0]!r}; both outcomes are needed.")
    return classes
