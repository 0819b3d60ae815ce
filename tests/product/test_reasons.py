"""The packaged products: every reason is worded for the notice, for a narrative and for the template."""

import pytest

from lendsafe.corpus import wordings
from lendsafe.product import PACKAGED, consumer, load
from lendsafe.product.model import REGISTERS
from lendsafe.risk.features import feature_set

REASONS = [(name, code) for name in PACKAGED for code in load(name).reasons]


@pytest.mark.parametrize(("name", "code"), REASONS)
def test_a_reason_is_worded_everywhere(name, code):
    entry = load(name).reasons[code]
    assert entry.statement
    assert entry.favorable
    assert entry.form in ("Form C-1", "other")
    assert all(entry.template[:2])
    assert bool(entry.template[2]) or not entry.slots
    for side in ("against", "in_favor"):
        for table in ("train", "held_out"):
            for place in (side, f"fact_{side}") if entry.slots else (side,):
                for register in REGISTERS:
                    assert wordings.own_words(load(name), table, code, place, register), (
                        table,
                        place,
                        register,
                    )


def test_every_feature_has_a_reason_and_every_reason_a_feature():
    for name in PACKAGED:
        features = feature_set(load(name)).features
        given = {f.reason for f in features} | {f.when_missing for f in features if f.when_missing}
        assert given == set(load(name).reasons), name
    assert {f.reason for f in feature_set().features} <= set(consumer().reasons)


def test_facts_are_fields_of_the_applicant():
    for name in PACKAGED:
        for entry in load(name).reasons.values():
            assert set(entry.slots) <= set(load(name).values)


def test_the_score_is_no_reason():
    """A score is disclosed (15 USC 1681m); the reasons are what it stands for (12 CFR 1002.9(b)(2))."""
    for entry in consumer().reasons.values():
        assert "score" not in entry.statement.lower()
        assert "credit_score" not in entry.slots
