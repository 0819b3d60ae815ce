"""What fitting leaves behind: everything that a decision needs, and the name it goes by."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lendsafe.fields import knob
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.decision import Policy
from lendsafe.risk.features import FeatureSet
from lendsafe.risk.model.bins import Bins
from lendsafe.risk.model.classifier import Calibration
from lendsafe.risk.model.trees import Ensemble, to_document

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How often something was seen at development.

    Attributes:
        name: What, such as a reason's code.
        count: How many of those that were looked at.
    """

    name: str = knob()
    count: int = knob()


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a model was trained on, and what later applications are compared with.

    Attributes:
        rows: Applications that the trees were fitted on.
        rows_without_outcome: Applications whose outcome is not known, left out.
        rows_held_out: Applications with an outcome that were kept from training.
        defaults: Defaults among ``rows``.
        depth: Depth of the trees.
        trees: Trees of each fit.
        test_share: Share of the applications that is held out.
        split: How they were held out.
        until: Latest date of an application in training; empty if dates were not given.
        groups: Customers among ``rows``; 0 if none were named.
        duplicates: Rows that repeat another one under another identifier, features and outcome alike.
        weighted: Whether rows stand for different numbers of loans.
        approval_rate: Share that the cut-off approves, out of fold.
        scores: Points at development, out of fold.
        inputs: Each feature at development.
        fields: Each numeric field that is read, at development, whether or not a feature looks at it.
        reasons: First reasons of those whom the score declines, out of fold.
        seen: Hashes of what the trees were fitted on (:mod:`lendsafe.risk.model.seen`).
    """

    rows: int = knob(low=1)
    rows_without_outcome: int = knob(0, low=0)
    rows_held_out: int = knob(0, low=0)
    defaults: int = knob(low=0)
    depth: int = knob(low=1)
    trees: int = knob(low=1)
    test_share: float = knob(low=0, high=1)
    split: str = knob("by application")
    until: str = knob("")
    groups: int = knob(0, low=0)
    duplicates: int = knob(0, low=0)
    weighted: bool = knob(False)
    approval_rate: float = knob(0.0, low=0, high=1)
    scores: Bins = knob()
    inputs: tuple[Bins, ...] = knob(())
    fields: tuple[Bins, ...] = knob(())
    reasons: tuple[Share, ...] = knob(())
    seen: str = knob("")


@dataclass(frozen=True, repr=False)
class Fitted:
    """A fitted model, immutable.

    Attributes:
        ensemble: Fitted trees.
        features: What they look at.
        calibration: Correction of their log-odds.
        background: Encoded rows that applicants are compared with, ``(rows, columns)``.
        cutoff: Largest default probability that is approved.
        policy: Required items and knock-out rules.
        config: Settings it was made with.
        training: What it was trained on.
    """

    ensemble: Ensemble
    features: FeatureSet
    calibration: Calibration
    background: Floats
    cutoff: float
    policy: Policy
    config: RiskConfig
    training: Training

    @cached_property
    def identity(self) -> str:
        """Short name that changes with anything that could change an assessment."""
        facts = [
            to_document(self.ensemble),
            dataclasses.asdict(self.calibration),
            self.background_hash,
            self.cutoff,
            self.features.names,
            self.features.product.decisive_sha256,
            dataclasses.asdict(self.config),
        ]
        return "risk-" + hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

    @cached_property
    def background_hash(self) -> str:
        """SHA-256 of the frozen background."""
        return hashlib.sha256(np.ascontiguousarray(self.background).tobytes()).hexdigest()
