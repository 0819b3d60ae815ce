"""XGBoost's booster from checked trees, and the proof that it computes what they say."""

import json

import numpy as np
import xgboost
from numpy.typing import NDArray

from lendsafe.errors import RefusedError
from lendsafe.risk.model import ubjson
from lendsafe.risk.model.trees import Ensemble, from_document, margins, to_document

Floats = NDArray[np.float64]
TOLERANCE = 1e-4  # log-odds; sums of a thousand leaves in float32 differ by less


def booster(ensemble: Ensemble, threads: int = 1) -> xgboost.Booster:
    """A booster of these trees; XGBoost never reads what anybody else wrote."""
    found = xgboost.Booster({"nthread": threads})
    found.load_model(bytearray(json.dumps(to_document(ensemble)).encode()))
    return found


def trees_of(fitted: xgboost.Booster) -> Ensemble:
    """The trees of a booster that was fitted here."""
    return from_document(ubjson.loads(bytes(fitted.save_raw("ubj"))))


def predict(fitted: xgboost.Booster, values: Floats) -> Floats:
    """Log-odds of rows ``(n, features)``, ``(n,)``."""
    found = fitted.inplace_predict(values, predict_type="margin", missing=np.nan)
    return np.asarray(found, dtype=np.float64)


def check(ensemble: Ensemble, values: Floats) -> None:
    """Compare XGBoost with the trees themselves.

    XGBoost 3.0 reads a base score in brackets as 0.5, without a word: another model, scored silently.

    Raises:
        RefusedError: If its log-odds of any row differ from what the trees say.
    """
    apart = np.abs(predict(booster(ensemble), values) - margins(ensemble, values)).max()
    if not apart <= TOLERANCE:
        raise RefusedError(
            f"XGBoost {xgboost.__version__} computes log-odds that differ by {apart:.3g} from what the trees say. "
            "Install xgboost 3.1 or later."
        )
