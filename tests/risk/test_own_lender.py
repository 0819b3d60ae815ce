"""A lender's own file, read by a product that was drafted from it: the model is as good as a common one."""

import numpy as np
import pytest
from command import lendsafe
from shared_data import shared_data
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from lendsafe.product import load
from lendsafe.risk import dataset
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.model import RiskEngine, training

SLACK = 0.01  # of the area under the curve


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Past loans of a credit union, by the product that `lendsafe product new` writes."""
    file = shared_data("../cases/own_lender/loans.csv")
    product = tmp_path_factory.mktemp("own") / "union.toml"
    ran = lendsafe("product", "new", file, "--out", product)
    assert ran.code == 0, ran.err
    return dataset.read(file, load(str(product)))


def test_the_area_under_the_curve_is_that_of_gradient_boosting(data):
    config = RiskConfig()
    past = training.prepare(data.frame, config, data.features)
    inside, out = ~past.held_out, past.held_out
    common = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=40, random_state=0
    ).fit(past.values[inside], past.outcome[inside])
    engine = RiskEngine.fit(data.frame, config, data.features)
    ours = roc_auc_score(past.outcome[out], engine.default_probability(past.values[out]))
    theirs = roc_auc_score(past.outcome[out], common.predict_proba(past.values[out])[:, 1])
    assert np.count_nonzero(out) >= 1_500
    assert theirs > 0.75  # there is something to learn
    assert ours >= theirs - SLACK, (ours, theirs)
