"""German credit, five-fold cross-validated, without protected columns."""

import numpy as np
from risk_cases import german
from sklearn.model_selection import StratifiedKFold

from lendsafe.risk.appraisal import metrics
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.model.classifier import RiskModel


def mean_auc(constraints):
    values = german().features.encode(german().frame).to_numpy()
    outcome = german().frame["defaulted"].to_numpy(dtype=np.int64)
    found = []
    for inside, outside in StratifiedKFold(5, shuffle=True, random_state=0).split(values, outcome):
        model = RiskModel.from_config(RiskConfig(), constraints).fit(values[inside], outcome[inside])
        found.append(metrics.auc(outcome[outside], model.predict_proba(values[outside])[:, 1]))
    return np.mean(found)


def test_the_monotone_model_reaches_0_78_and_costs_under_0_01():
    monotone = mean_auc([f.constraint for f in german().features.columns])
    free = mean_auc(None)
    assert monotone >= 0.78
    assert free - monotone <= 0.01
