"""A model folder: what is written comes back; whatever was changed is refused, and nothing crashes."""

import dataclasses
import json
import random

import numpy as np
import pytest
from risk_cases import german, german_engine, people, small_engine

from lendsafe.errors import DiskError, RefusedError
from lendsafe.product import product_from
from lendsafe.risk.decision import Policy
from lendsafe.risk.features import FeatureSet
from lendsafe.risk.model import store, trees, ubjson
from lendsafe.risk.model.engine import RiskEngine
from lendsafe.risk.model.unknown import filled


@pytest.fixture
def folder(tmp_path):
    small_engine().save(tmp_path / "risk")
    return tmp_path / "risk"


def test_a_loaded_model_assesses_the_same(folder):
    before, after = small_engine(), RiskEngine.load(folder)
    assert after.identity == before.identity
    assert after.assess_many(people().frame) == before.assess_many(people().frame)


def test_a_table_model_with_rules_of_its_own_comes_back(tmp_path):
    rules = {
        "required": ["credit_amount"],
        "knockouts": [{"field": "duration_in_month", "above": 60, "reason": "duration"}],
    }
    fitted = german_engine()
    product = product_from({**fitted.features.product.table, "policy": rules}, "german")
    features = FeatureSet(product=product, names=fitted.features.names)
    before = dataclasses.replace(fitted, features=features, policy=Policy(features))
    before.save(tmp_path / "risk")
    after = RiskEngine.load(tmp_path / "risk")
    assert after.policy.table == before.policy.table
    assert "credit_amount" in after.policy.required
    assert after.decide(german().frame).equals(before.decide(german().frame))


def test_saving_twice_writes_the_same_bytes(folder, tmp_path):
    RiskEngine.load(folder).save(tmp_path / "again")
    for name in ("model.ubj", "model.json"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_xgboost_reads_the_file_and_predicts_the_same(folder):
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(folder / "model.ubj")
    engine = small_engine()
    values = engine.features.encode(people().frame).to_numpy()
    rows = filled(values, engine.features, engine.config)
    margins = booster.inplace_predict(rows, predict_type="margin", missing=np.nan)
    expected = engine.calibration.slope * margins + engine.calibration.intercept
    assert engine.log_odds(values) == pytest.approx(expected, abs=1e-6)


def test_an_xgboost_that_computes_something_else_is_refused(folder, monkeypatch):
    """XGBoost 3.0 read a base score in brackets as 0.5 and declined 3,175 instead of 1,779, silently."""
    import xgboost

    true = xgboost.Booster.inplace_predict
    monkeypatch.setattr(xgboost.Booster, "inplace_predict", lambda *a, **k: true(*a, **k) + 0.01)
    with pytest.raises(RefusedError, match="differ by 0.01 from what the trees say. Install xgboost 3.1"):
        RiskEngine.load(folder)
    monkeypatch.setattr(xgboost.Booster, "inplace_predict", lambda *a, **k: true(*a, **k) * np.nan)
    with pytest.raises(RefusedError, match="Install xgboost"):
        RiskEngine.load(folder)


def test_no_pickle_is_written_or_read(folder):
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "model.ubj"]
    (folder / "model.ubj").write_bytes(b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00]\x94.")
    with pytest.raises(RefusedError, match="SHA-256"):
        RiskEngine.load(folder)


def test_a_missing_file_is_named(folder):
    (folder / "model.ubj").unlink()
    with pytest.raises(DiskError, match=r"model\.ubj"):
        RiskEngine.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t | {"cutoff": 0.5}, "changed after it was written"),
        (lambda t: t | {"format": 1}, "format"),
        (lambda t: {k: v for k, v in t.items() if k != "product"}, "changed after"),
    ],
)
def test_a_changed_table_is_refused(folder, change, message):
    table = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(change(table)))
    with pytest.raises(RefusedError, match=message):
        RiskEngine.load(folder)


def rewritten(folder, change):
    """The table with a change and hashes that fit it, as someone would write who wants it to load."""
    table = json.loads((folder / "model.json").read_text())
    table.pop("sha256")
    change(table)
    (folder / "model.json").write_text(json.dumps(table | {"sha256": store.digest(table)}))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.update(cutoff=True),
        lambda t: t.update(cutoff=1.5),
        lambda t: t.update(product="{"),
        lambda t: t["calibration"].update(slope=-1.0),
        lambda t: t["background"].pop() and t.update(background=[[]]),
        lambda t: t["background"][0].__setitem__(0, "x"),
        lambda t: t["features"].__setitem__(0, "zip_code"),
        lambda t: t["features"].__setitem__(0, 7),
        lambda t: t["features"].pop(),
        lambda t: t.update(product=t["product"].replace('"above"', '"over"')),
        lambda t: t["config"].update(max_reasons=9),
        lambda t: t["config"].update(nonsense=1),
        lambda t: t.update(product=7),
        lambda t: t.update(training=[1]),
        lambda t: t["training"].update(rows=-1),
        lambda t: t["training"].update(seen="\n"),
        lambda t: t["training"]["scores"].update(edges=[3.0, 1.0]),
        lambda t: t["training"]["scores"]["counts"].pop(),
        lambda t: t.update(manifest=None),
    ],
)
def test_a_forged_table_with_right_hashes_is_refused_in_one_line(folder, change):
    rewritten(folder, change)
    with pytest.raises(RefusedError) as caught:
        RiskEngine.load(folder)
    assert "\n" not in str(caught.value)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Flip bits, cut, repeat, insert, or put a marker of the format somewhere."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed))
        kind = rng.randrange(6)
        if kind == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at] = rng.randrange(256)
        elif kind == 2:
            changed[at] = rng.choice(b"[]{}$#iUIlLdDSTFZ")
        elif kind == 3:
            del changed[at : at + rng.randint(1, 40)]
        elif kind == 4:
            changed[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 9)))
        else:
            changed[at : at + 8] = rng.choice([b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\x00" * 8])
        if not changed:
            return b""
    return bytes(changed)


def fuzz(count):
    """Mutated bytes go the way of a model file whose hash fits: refused, or a model that predicts.

    XGBoost is then given what passed, so a value that crashes it would end this process.
    """
    engine = dataclasses.replace(small_engine(), ensemble=small_engine().ensemble)
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(trees.to_document(engine.ensemble)).encode()))
    original = bytes(booster.save_raw("ubj"))
    values = engine.features.encode(people().frame[:20]).to_numpy()
    rng = random.Random(0)
    refused = passed = 0
    for _ in range(count):
        try:
            ensemble = trees.from_document(ubjson.loads(mutate(original, rng)))
        except RefusedError as problem:
            assert "\n" not in str(problem)
            refused += 1
            continue
        passed += 1
        if passed % 10 == 0 and ensemble.features == engine.ensemble.features:
            other = dataclasses.replace(engine, ensemble=ensemble)
            assert np.isfinite(other.log_odds(values)).all()
            assert np.isfinite(other.attribute(values)).all()
    assert refused > count / 4
    assert passed > count / 50


def test_mutated_model_files_are_refused_or_predict():
    fuzz(200)


@pytest.mark.soak
def test_20_000_mutated_model_files_neither_crash_nor_hang():
    fuzz(20_000)


@pytest.mark.parametrize("value", [b"1e999", b"-1e999", b"NaN", b'"\\ud800"', b"[" * 5000])
def test_a_table_with_what_json_cannot_carry_is_refused(tmp_path, value):
    small_engine().save(tmp_path / "risk")
    path = tmp_path / "risk" / "model.json"
    path.write_bytes(path.read_bytes().replace(b'"format": 2', b'"format": 2, "more": ' + value, 1))
    assert value in path.read_bytes()
    with pytest.raises(RefusedError) as caught:
        RiskEngine.load(tmp_path / "risk")
    assert "\n" not in str(caught.value)


@pytest.mark.soak
def test_20_000_mutated_tables_are_refused_or_load(tmp_path):
    small_engine().save(tmp_path / "risk")
    original = (tmp_path / "risk" / "model.json").read_bytes()
    rng = random.Random(1)
    for _ in range(20_000):
        (tmp_path / "risk" / "model.json").write_bytes(mutate(original, rng))
        try:
            RiskEngine.load(tmp_path / "risk")
        except RefusedError as problem:
            assert "\n" not in str(problem)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[",
        b"[$",
        b"[$i#L\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"{" * 10_000,
        b"[" * 10_000,
        b"SL\xff" + b"\xff" * 7,
        b"{i\x01a" * 5_000,
    ],
)
def test_hostile_bytes_are_refused_at_once(data):
    with pytest.raises(RefusedError):
        ubjson.loads(data)
