"""The catalogue: every reason is worded for the notice, for a narrative and for the template."""

from dataclasses import fields

import pytest

from lendsafe.corpus import wordings
from lendsafe.reasons import catalogue
from lendsafe.records import Applicant
from lendsafe.risk.features import application_features
from lendsafe.template import _FACTORS


@pytest.mark.parametrize("code", catalogue())
def test_a_reason_is_worded_everywhere(code):
    entry = catalogue()[code]
    assert entry.statement
    assert entry.favourable
    assert entry.source in ("Form C-1", "other")
    assert code in _FACTORS
    for side in ("adverse", "favorable"):
        for table in ("train", "held_out"):
            for part in ("name", "fact") if entry.slots else ("name",):
                assert wordings.patterns(table, f"factor.{code}.{side}.{part}", "plain")


def test_every_feature_has_a_reason_and_every_reason_a_feature():
    assert {feature.reason for feature in application_features()} == set(catalogue())


def test_facts_are_fields_of_the_applicant():
    known = {f.name for f in fields(Applicant)}
    for entry in catalogue().values():
        assert set(entry.slots) <= known


def test_the_score_is_no_reason():
    """A score is disclosed (15 USC 1681m); the reasons are what it stands for (12 CFR 1002.9(b)(2))."""
    for entry in catalogue().values():
        assert "score" not in entry.statement.lower()
        assert "credit_score" not in entry.slots
