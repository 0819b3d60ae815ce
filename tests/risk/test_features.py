"""Features and their reasons: exactly one each, or loading fails; unknown values have a reason of their own."""

import json

import numpy as np
import pandas as pd
import pytest
from risk_cases import frame, german, people, small_engine

from lendsafe.errors import ConfigError, DataError
from lendsafe.product import PACKAGED, consumer, load, product_from
from lendsafe.risk import features
from lendsafe.risk.features import Feature, code_index, encode_column, feature_set


def test_every_feature_has_exactly_one_known_reason():
    for name in PACKAGED:
        chosen = feature_set(load(name))
        assert all(f.reason in chosen.statements for f in chosen.features)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"reason": ""}, "needs exactly one reason"),
        ({}, "needs exactly one reason"),
        ({"reason": "nonsense"}, "nonsense"),
        ({"reason": "bankruptcy", "when_missing": "nonsense"}, "nonsense"),
        ({"reason": ["bankruptcy", "inquiries"]}, "expected text"),
        ({"reason": "bankruptcy", "risk": "up"}, "expected one of"),
    ],
)
def test_a_feature_without_one_reason_does_not_load(entry, message):
    table = json.loads(consumer().text)
    table["fields"]["x"] = {"kind": "number", **entry}
    with pytest.raises(ConfigError, match=message) as caught:
        product_from(table, "p.toml")
    assert "x" in str(caught.value)


def test_no_prohibited_basis_nor_a_bureau_score_is_a_feature():
    names = " ".join(f.name for f in feature_set().features)
    assert not [w for w in ("age_", "sex", "race", "marital", "zip", "state", "credit_score") if w in names]


def test_derived_features_by_hand():
    row = (
        feature_set()
        .encode(frame(loan_amount=30_000.0, annual_income=40_000.0, income_verified=False))
        .iloc[0]
    )
    assert row["amount_to_income"] == 75.0
    assert row["income_verified"] == 0.0
    assert row["no_credit_file"] == 0.0


def test_an_income_of_zero_is_no_division_by_zero():
    assert np.isfinite(feature_set().encode(frame(annual_income=0.0))["amount_to_income"]).all()


NO_FILE = {f.name: None for f in feature_set().features if f.report and not f.no_file} | {
    "credit_score": None
}


def test_without_a_credit_file_every_bureau_item_counts_as_no_file():
    encoded = feature_set().encode(frame(**NO_FILE))
    codes = list(consumer().reasons)
    index = code_index(encoded.to_numpy(), feature_set().features, codes)[0]
    for f, i in zip(feature_set().features, index, strict=True):
        if f.report or f.no_file:
            assert codes[i] == "no_credit_file"


def test_an_unknown_value_is_never_the_reason_of_the_value():
    encoded = feature_set().encode(frame(revolving_utilization=None))
    codes = list(consumer().reasons)
    index = code_index(encoded.to_numpy(), feature_set().features, codes)[0]
    at = [f.name for f in feature_set().features].index("revolving_utilization")
    assert codes[index[at]] == "credit_history"


def test_nobody_without_a_file_is_told_about_a_bureau_item():
    table = pd.concat([people().frame.head(50).assign(**NO_FILE)])
    bureau = {f.reason for f in feature_set().features if f.report and not f.no_file}
    for one in small_engine().assess_many(table):
        assert not {r.code for r in (*one.reasons, *one.strengths)} & bureau


def test_levels_without_order_are_columns_of_their_own():
    feature = Feature(name="home", reason="r", levels=("own", "rent"), ordered=False)
    found = encode_column(pd.Series(["rent", None, "own"]), feature)
    assert list(found) == ["home=own", "home=rent"]
    assert np.array_equal(
        np.stack(list(found.values()), axis=1), [[0, 1], [np.nan, np.nan], [1, 0]], equal_nan=True
    )


def test_levels_in_order_count_up():
    feature = Feature(name="time", reason="r", levels=("short", "middle", "long"))
    assert encode_column(pd.Series(["long", "short"]), feature)["time"].tolist() == [2, 0]


@pytest.mark.parametrize(("values", "levels"), [(["x"], ("a", "b")), (["12a"], ())])
def test_a_value_that_does_not_fit_is_named(values, levels):
    with pytest.raises(DataError, match=values[0]):
        encode_column(pd.Series(values), Feature(name="f", reason="r", levels=levels))


def test_an_absent_column_is_named():
    with pytest.raises(DataError, match="credit_amount"):
        german().features.encode(german().frame.drop(columns="credit_amount"))


def test_a_frame_of_records_is_the_frame_they_came_from():
    before, after = people().frame, features.to_frame(people().applicants)
    assert np.array_equal(feature_set().encode(before), feature_set().encode(after), equal_nan=True)


def test_the_probability_of_default_follows_every_declared_sign():
    """Sweep every constrained feature of the encoded matrix over its range."""
    engine = small_engine()
    values = engine.features.encode(people().frame.head(60)).to_numpy()
    for c, feature in enumerate(engine.features.columns):
        grid = np.linspace(np.nanmin(values[:, c]), np.nanmax(values[:, c]), 30)
        sweep = np.repeat(values, len(grid), axis=0)
        sweep[:, c] = np.tile(grid, len(values))
        steps = np.diff(engine.log_odds(sweep).reshape(len(values), -1), axis=1)
        assert (feature.constraint * steps >= -1e-6).all(), feature.name
