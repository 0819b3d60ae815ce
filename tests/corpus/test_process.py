"""The latent process: reproducible, monotone, additive; its true reasons follow from its own file."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lendsafe.corpus import process
from lendsafe.product import consumer
from lendsafe.risk.features import feature_set


@pytest.fixture(scope="module")
def people() -> process.Population:
    return process.draw(20_000, seed=7)


def test_same_seed_gives_the_same_population():
    one, two, other = process.draw(300, 5), process.draw(300, 5), process.draw(300, 6)
    assert one.frame.equals(two.frame)
    assert (one.defaulted == two.defaulted).all()
    assert not one.frame.equals(other.frame)


def test_history_of_a_seed_shares_no_applicant_with_its_draw():
    columns = ["loan_amount", "annual_income", "debt_to_income", "employment_months"]
    past, present = process.history(2_000, 3).frame[columns], process.draw(2_000, 3).frame[columns]
    shared = past.dropna().merge(present.dropna(), how="inner")
    assert len(shared) <= 2


def test_log_odds_are_the_intercept_plus_the_terms(people):
    log_odds = np.log(people.default_probability / (1 - people.default_probability))
    assert np.allclose(log_odds, process.parameters()["intercept"] + people.terms.sum(axis=1))


def test_a_term_computed_by_hand():
    people = process.draw(50, 1)
    frame = people.frame.assign(debt_to_income=39.0)  # half way from 32 to 46, weight 1.9
    column = feature_set().names.index("debt_to_income")
    assert process._terms(frame, process.parameters()["terms"])[:, column] == pytest.approx(0.95)


def test_terms_follow_the_declared_business_signs():
    for feature in feature_set().features:
        assert np.sign(process.parameters()["terms"][feature.name]["weight"]) == feature.constraint


def test_outcomes_have_the_frequency_of_their_probabilities(people):
    z = (people.defaulted.sum() - people.default_probability.sum()) / np.sqrt(
        (people.default_probability * (1 - people.default_probability)).sum()
    )
    assert abs(z) < 4


def test_score_is_related_to_default_but_does_not_determine_it(people):
    known = people.frame["credit_score"].notna().to_numpy()
    auc = roc_auc_score(people.defaulted[known], -people.frame["credit_score"][known])
    assert 0.70 < auc < 0.85
    assert people.frame["credit_score"].dropna().between(300, 850).all()


def test_no_protected_attribute_is_a_column_of_the_applications(people):
    assert not {"sex", "race", "age", "age_band"} & set(people.applications())


def test_every_code_of_the_catalogue_occurs_among_the_declines(people):
    declined = [a for a in process.assess(people.take(range(4_000))) if a.decision == "declined"]
    given = {
        f.reason for f in feature_set().features
    }  # its reports are whole or absent: nothing is unverified
    assert (
        {r.code for a in declined for r in a.reasons}
        == given
        == set(consumer().reasons) - {"unverified_credit"}
    )
    assert all(1 <= len(a.reasons) <= 4 for a in declined)


def test_about_three_in_five_decisions_are_approvals(people):
    decisions = [a.decision for a in process.assess(people.take(range(4_000)))]
    approved, declined = decisions.count("approved"), decisions.count("declined")
    assert 0.57 < approved / (approved + declined) < 0.65
    assert 0 < decisions.count("incomplete") < 200


def test_without_a_credit_file_no_reason_speaks_of_bureau_items(people):
    no_file = people.take(np.flatnonzero(people.frame["oldest_account_months"].isna())[:100])
    bureau = {f.reason for f in feature_set().features if f.report and not f.no_file}
    for assessment in process.assess(no_file):
        codes = {r.code for r in (*assessment.reasons, *assessment.strengths)}
        assert not codes & bureau
        assert assessment.applicant["credit_score"] is None
        assert assessment.key_factors == ()


def test_contributions_of_the_baseline_average_to_zero():
    limit = process.cutoff()
    table = process.parameters()
    reference = process.draw(table["reference_rows"], table["reference_seed"])
    distance = process._logit(limit) - process._logit(reference.default_probability)
    near = reference.take(np.flatnonzero((distance >= 0) & (distance <= table["baseline_band"])))
    assert np.abs(near.contributions.mean(axis=0)).max() < 0.02
