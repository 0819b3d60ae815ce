"""What fitting leaves behind: everything that a decision needs, and the name it goes by."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lendsafe.risk.config import RiskConfig
from lendsafe.risk.decision import Policy
from lendsafe.risk.features import FeatureSet
from lendsafe.risk.model.classifier import Calibration
from lendsafe.risk.model.trees import Ensemble, to_document

Floats = NDArray[np.float64]


@dataclass(frozen=True)
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
        training: What it was trained on and how it did there, as plain JSON values.
    """

    ensemble: Ensemble
    features: FeatureSet
    calibration: Calibration
    background: Floats
    cutoff: float
    policy: Policy
    config: RiskConfig
    training: dict[str, object]

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
