"""Everything that a report says about a model, as records."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lendsafe.risk.appraisal import alternatives, fairness, fidelity, intervention, metrics
from lendsafe.risk.appraisal.overrides import Overrides
from lendsafe.risk.appraisal.unknowns import Unknowns
from lendsafe.risk.appraisal.vintages import Vintage
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.model import scorecard
from lendsafe.risk.model.classifier import Calibration
from lendsafe.risk.model.fitted import Training


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Applications that a model is measured on.

    Attributes:
        frame: Their columns; ``defaulted`` for outcomes, ``decision`` for the lender's own decisions.
        protected: Groups, one column per attribute, in the order of ``frame``.
        lineage: Where they come from: ``source``, ``product``, ``sha256``, ``set_aside``, ``unmapped``,
            ``absent``, as far as it is known.
        dates: Date of each application, ``(n,)``.
        references: Group that others are compared with, by attribute.
    """

    frame: pd.DataFrame
    protected: pd.DataFrame | None = None
    lineage: Mapping[str, Any] = field(default_factory=dict)
    dates: Sequence[Any] | None = None
    references: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """The model that was measured."""

    identity: str
    product: str
    cutoff: float
    cutoff_points: int
    calibration: Calibration
    background_rows: int
    background_sha256: str
    training: Training
    config: RiskConfig
    policy: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """The applications that it was measured on.

    Attributes:
        source: Name of the file.
        product: What its columns were read by.
        sha256: Hash of the file.
        edited_since_import: Whether it was changed after it was imported.
        set_aside: Columns that never reach a model, and why.
        unmapped: Columns that nobody mentioned.
        absent: Columns that the file does not have.
        rows: Applications that were measured on.
        left_out: Applications of the file that the model was trained on, known by their content.
        held_out: Whether the file holds the training rows as well.
        outcomes: Applications measured on whose outcome is known.
        groups_absent: Groups of the file of which nobody is among those measured on.
    """

    source: str
    product: str
    sha256: str
    edited_since_import: bool
    set_aside: tuple[tuple[str, str], ...]
    unmapped: tuple[str, ...]
    absent: tuple[str, ...]
    rows: int
    left_out: int
    held_out: bool
    outcomes: int
    groups_absent: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FeatureFacts:
    """A feature as the report shows it."""

    name: str
    reason: str
    statement: str
    when_missing: str
    risk: str
    levels: int


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Points by outcome: edges, and counts between them."""

    edges: tuple[float, ...]
    repaid: tuple[int, ...]
    defaulted: tuple[int, ...]
    not_known: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Performance:
    """Ranking quality and calibration, of the model and of the scorecard.

    Attributes:
        n: Applications with outcomes.
        defaults: Defaults among them.
        model: Quality of the model.
        false_positive: Of the ROC curve.
        true_positive: Of the ROC curve.
        reliability: Predicted and observed shares.
        calibration: Slope and intercept.
        scorecard: Quality of the challenger; None without the training rows.
        auc_over_scorecard: AUC of the model less the challenger's, paired.
        recommended: ``model`` if it ranks better by more than chance, else ``scorecard``; empty without one.
    """

    n: int
    defaults: int
    model: metrics.Quality
    false_positive: tuple[float, ...]
    true_positive: tuple[float, ...]
    reliability: tuple[metrics.Bin, ...]
    calibration: metrics.Line
    scorecard: metrics.Quality | None = None
    auc_over_scorecard: metrics.Interval | None = None
    recommended: str = ""


@dataclass(frozen=True, kw_only=True)
class ReasonFrequency:
    """How often a reason is given, and given first."""

    code: str
    statement: str
    given: int
    first: int


@dataclass(frozen=True, kw_only=True)
class Reasons:
    """Of applications that the score declines: which reasons, and how far they hold.

    Attributes:
        declined_by_score: Applications.
        mean_number: Material reasons of each, in the mean.
        without_material: Those whose largest factor is below the floor; they get it, and a person looks.
        frequency: By reason, most frequent first.
        agreement: Mean share of reasons on which two attributions agree.
        for_review: Applications on which they agree too little.
        redraw: Stability if the background is redrawn.
        refit: Stability if the model is refitted on nine tenths of its rows; None without them.
        refits: How often it was refitted.
        other_baseline: Name of the other of the two baselines of comment 9(b)(2)-5.
        other: Stability against it; None without the training rows.
        toward_approval: Share whose score moves toward approval with the reasons at the background's values.
        counterfactuals: Applications of which that was computed.
        median_change: Of the log-odds.
        interventions: Sufficiency, necessity, omission.
    """

    declined_by_score: int
    mean_number: float
    without_material: int
    frequency: tuple[ReasonFrequency, ...]
    agreement: float
    for_review: int
    redraw: fidelity.Stability
    refit: fidelity.Stability | None
    refits: int
    other_baseline: str
    other: fidelity.Stability | None
    toward_approval: float | None
    counterfactuals: int
    median_change: float | None
    interventions: intervention.Interventions | None


@dataclass(frozen=True, kw_only=True)
class GroupTable:
    """Figures of one protected attribute, or of two together.

    Attributes:
        attribute: Its name.
        figures: On the model's decisions.
        lender: On the lender's own decisions; empty if they are not known.
        proxy_auc: How well the features tell each group from the rest.
    """

    attribute: str
    figures: tuple[fairness.GroupFigures, ...]
    lender: tuple[fairness.GroupFigures, ...] = ()
    proxy_auc: Mapping[str, metrics.Interval] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Appraisal:
    """Everything that the report says."""

    model: ModelFacts
    data: DataFacts
    features: tuple[FeatureFacts, ...]
    decisions: Mapping[str, int]
    scores: Histogram
    performance: Performance | None
    reasons: Reasons | None
    drift: metrics.Drift
    unknowns: Unknowns
    groups: tuple[GroupTable, ...]
    intersections: tuple[GroupTable, ...]
    alternatives: tuple[alternatives.Alternative, ...]
    vintages: tuple[Vintage, ...]
    overrides: Overrides | None
    versions: Mapping[str, str]
    card: scorecard.Scorecard | None = None


def plain(value: Any) -> Any:
    """JSON values: records become objects, and a number that is not defined becomes null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
