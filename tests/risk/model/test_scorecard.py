"""The challenger: bins that keep what matters, weights by hand, exports that compute the same."""

import sqlite3

import numpy as np
import pandas as pd
import pytest
from risk_cases import features_of, german, people, small_engine

from lendsafe.risk.appraisal import metrics
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.features import feature_set
from lendsafe.risk.model import scorecard, scorecard_export
from lendsafe.risk.model.bins import inputs


def numbers(count, sign=""):
    return features_of(**{f"x{i}": sign for i in range(count)})


@pytest.fixture(scope="module")
def german_card():
    values = german().features.encode(german().frame).to_numpy()
    return scorecard.fit(values, german().frame["defaulted"].to_numpy(dtype=np.int64), german().features)


@pytest.fixture(scope="module")
def applicants_card():
    population = people(2_000)
    values = feature_set().encode(population.frame).to_numpy()
    return scorecard.fit(values, population.defaulted.astype(np.int64), feature_set())


def test_it_ranks_and_reads_unknown_values():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(3000, 3))
    outcome = (rng.random(3000) < 1 / (1 + np.exp(1 - values[:, 0] + values[:, 1]))).astype(int)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[:, 2] = np.nan  # nothing known at all
    card = scorecard.fit(values[:2000], outcome[:2000], numbers(3), RiskConfig(unknown_is_riskier=False))
    assert metrics.auc(outcome[2000:], card.predict_proba(values[2000:])) > 0.75
    assert [one.name for one in card.attributes] == ["x0", "x1"]


def test_a_weight_of_evidence_by_hand():
    """Of 10 good, 8 are low; of 10 bad, 2; half a row of smoothing in each of three bins."""
    values = np.repeat([0.0, 1.0, 0.0, 1.0], [80, 20, 20, 80])[:, None]
    card = scorecard.fit(values, np.repeat([0, 1], 100), numbers(1))
    low, high, _ = card.attributes[0].bins
    assert (low.high, high.low) == (1.0, 1.0)
    assert low.weight == pytest.approx(np.log(20.5) - np.log(80.5))
    assert (low.count, low.defaults) == (100, 20)


def test_a_rare_flag_and_a_heavy_zero_are_bins_of_their_own():
    """Quantiles alone would lose both."""
    rng = np.random.default_rng(0)
    count = np.where(rng.random(4000) < 0.9, 0, rng.poisson(3, 4000) + 1).astype(float)
    flag = (rng.random(4000) < 0.04).astype(float)
    outcome = (rng.random(4000) < np.where(count > 0, 0.5, 0.1) + 0.3 * flag).astype(int)
    card = scorecard.fit(np.stack([count, flag], axis=1), outcome, numbers(2, "+"))
    assert card.attributes[0].bins[0].high == 1.0
    assert [one.low for one in card.attributes[1].bins] == [None, 1.0, None]


def test_where_the_sign_is_known_the_weights_follow_it(applicants_card):
    signs = {f.name: f.constraint for f in feature_set().features}
    for one in applicants_card.attributes:
        known = [line.weight for line in one.bins if not line.unknown and not line.no_file]
        assert known == sorted(known, reverse=signs[one.name] < 0)
        unknown = next(line.weight for line in one.bins if line.unknown)
        assert unknown >= max(known)  # unknown is never safer than known


def rows_of(features, frame):
    """Features as another system has them: texts as texts, None where not known."""
    columns = {}
    for f, column in zip(
        features.features, inputs(features.encode(frame).to_numpy(), features).values(), strict=True
    ):
        columns[f.name] = [
            None if np.isnan(v) else f.levels[int(v)] if f.levels else float(v) for v in column.tolist()
        ]
    return pd.DataFrame(columns, dtype=object)


@pytest.mark.parametrize("which", ["german", "applicants"])
def test_sql_and_python_compute_the_same_on_all_rows(which, german_card, applicants_card):
    card, features, frame = (
        (german_card, german().features, german().frame.copy())
        if which == "german"
        else (applicants_card, feature_set(), people(2_000).frame)
    )
    if which == "german":
        frame.loc[:50, "duration_in_month"] = pd.NA
    rows = rows_of(features, frame)
    values = features.encode(frame).to_numpy()
    expected = card.log_odds(values)
    module = {}
    exec(scorecard_export.to_python(card), module)
    records = rows.to_dict("records")
    assert np.abs([module["log_odds"](row) for row in records] - expected).max() <= 1e-9
    found = [module["default_probability"](row) for row in records]
    assert np.abs(found - card.predict_proba(values)).max() <= 1e-9
    with sqlite3.connect(":memory:") as base:
        rows.to_sql("applications", base, index=False)
        out = pd.read_sql(scorecard_export.to_sql(card), base)
    assert np.abs(out["log_odds"] - expected).max() <= 1e-9
    assert np.abs(out["default_probability"] - card.predict_proba(values)).max() <= 1e-9


def test_an_unknown_text_is_refused_by_the_python_module(german_card):
    module = {}
    exec(scorecard_export.to_python(german_card), module)
    row = rows_of(german().features, german().frame[:1]).to_dict("records")[0]
    with pytest.raises(ValueError, match="unknown text"):
        module["log_odds"](row | {german_card.attributes[0].name: "something else"})


def test_points_add_up_to_the_log_odds(german_card):
    config = RiskConfig()
    table = scorecard.table(german_card, config)
    factor = config.double_odds / np.log(2)
    safest = table[table["attribute"] != "base"].groupby("attribute", sort=False)
    points = table["points"].iloc[0] + safest["points"].max().sum()
    log_odds = german_card.intercept + safest["log_odds"].min().sum()
    assert points == pytest.approx(
        config.base_points - factor * (log_odds + np.log(config.base_odds)), abs=0.2
    )


def test_weights_count_as_rows(applicants_card):
    population = people(2_000)
    values = feature_set().encode(population.frame).to_numpy()
    outcome = population.defaulted.astype(np.int64)
    doubled = scorecard.fit(values, outcome, feature_set(), weights=np.full(2_000, 2.0))
    z, w = applicants_card.log_odds(values), doubled.log_odds(values)
    assert np.corrcoef(z, w)[0, 1] > 0.99


def test_it_is_no_straw_man():
    """On an additive process it comes near the trees, which a card of five quantiles did not."""
    population = people(4_000, 11)
    engine = small_engine()
    values = engine.features.encode(population.frame).to_numpy()
    outcome = population.defaulted.astype(np.int64)
    card = scorecard.fit(values[:2_400], outcome[:2_400], engine.features)
    gap = metrics.auc(outcome[2_400:], engine.default_probability(values[2_400:])) - metrics.auc(
        outcome[2_400:], card.predict_proba(values[2_400:])
    )
    assert gap < 0.02
