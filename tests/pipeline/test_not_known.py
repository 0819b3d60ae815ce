"""What is not known is never a reason of its value, and a score is said to be used if and only if it is."""

import random
from dataclasses import replace
from datetime import date

import pytest
from lending import declined, engine

from lendsafe.corpus import process
from lendsafe.errors import ConfigError
from lendsafe.eval.truth.checks import check
from lendsafe.eval.truth.words import speaking_of, words
from lendsafe.notice import demo_config
from lendsafe.pipeline.applications import application_from
from lendsafe.pipeline.letters import Explainer
from lendsafe.product import consumer
from lendsafe.records import Reason
from lendsafe.risk.commands import train_into
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.decision import Policy

DAY = date(2026, 11, 24)
REPORT = [
    n for n, one in consumer().values.items() if one.formula is None and one.origin == "consumer_report"
]
GIVEN = [name for name, one in consumer().values.items() if one.formula is None]


@pytest.fixture(scope="module")
def looking():
    """A model whose policy looks at the bureau's score."""
    from lendsafe.product.read import product_from

    table = dict(consumer().table)
    rule = {"field": "credit_score", "below": 301, "reason": "credit_history"}
    policy = table["policy"]
    table["policy"] = {**policy, "knockouts": [*policy.get("knockouts", []), rule]}
    features = replace(engine().features, product=product_from(table, "looking"))
    return Explainer(replace(engine(), features=features, policy=Policy(features)), lender=demo_config())


@pytest.fixture(scope="module")
def plain():
    """A model and a policy that do not look at it."""
    return Explainer(engine(), lender=demo_config())


def told(explainer, **changes):
    table = declined(**{"income_verified": True, **changes})
    return explainer.explain([application_from(table, explainer.product)], notice_date=DAY)[0]


def blocks(outcome):
    return {block.id: block for block in outcome.letter.blocks}


def grounded(assessment):
    """Whether every reason has a known value of its own, or is what a missing one is given as."""
    product, values = assessment.applicant.product, assessment.applicant.values
    for reason in (*assessment.reasons, *assessment.strengths):
        own = any(f.reason == reason.code and values.get(f.name) is not None for f in product.features)
        missing = any(f.when_missing == reason.code and values.get(f.name) is None for f in product.features)
        if not (own or missing):
            return False
    return True


def test_no_reason_rests_on_a_value_that_is_not_known():
    draw = random.Random(4)
    tables = []
    for number in range(300):
        gone = draw.sample(GIVEN, draw.randrange(1, len(GIVEN)))
        tables.append({**declined(number), "income_verified": False, **dict.fromkeys(gone)})
    found = engine().assess_many([application_from(one).applicant for one in tables])
    assert all(map(grounded, found))
    assert {"declined", "incomplete"} <= {one.decision for one in found}
    for one in found:
        needed = [f.name for f in consumer().features if not f.when_missing and f.formula is None]
        lacking = [name for name in needed if one.applicant.values.get(name) is None]
        assert set(lacking) <= set(one.missing) or one.decision != "incomplete" or not lacking
        assert one.decision != "approved" or not lacking
        with speaking_of(consumer()):
            for side, factors in (("adverse", one.reasons), ("favorable", one.strengths)):
                assert [words().denied(r.code, side, one) for r in factors] == [""] * len(factors)


def test_late_payments_that_nobody_reported_decline_nobody(plain):
    one = told(plain, delinquencies_24m=None, inquiries_6m=None)
    codes = [reason.code for reason in one.reasons]
    assert one.decision == "declined"
    assert not {"delinquency", "inquiries"} & set(codes)
    text = " ".join((one.explanation.text, *blocks(one)["reasons"].items)).lower()
    assert "inquir" not in text
    assert "late payment" not in text
    assert "delinquen" not in text


def test_what_is_missing_names_the_reason_that_the_product_gives_it():
    some = told(
        Explainer(engine(), lender=demo_config()), **dict.fromkeys(REPORT[1:], None), credit_score=700
    )
    assert "No credit file" not in blocks(some)["reasons"].items
    assert "Unable to verify credit references" in blocks(some)["reasons"].items


def test_income_that_no_column_says_is_asked_for(plain):
    one = told(plain, income_verified=None)
    assert (one.decision, one.explanation.assessment.missing) == ("incomplete", ("income_verified",))
    assert one.reasons == ()


def test_no_credit_file_stands_beside_no_score(looking):
    without = told(looking, **dict.fromkeys(REPORT), key_factors=None, score_created=None)
    assert "No credit file" in blocks(without)["reasons"].items
    assert "score_used" not in blocks(without)
    beside = told(looking, **dict.fromkeys(REPORT[1:]), credit_score=712)
    assert "No credit file" not in blocks(beside)["reasons"].items
    assert "score_used" in blocks(beside)


def test_a_file_without_a_bureaus_columns_is_decided_by_what_is_known(plain):
    kept = ("credit_score", "open_accounts")
    one = told(plain, **dict.fromkeys([name for name in REPORT if name not in kept]))
    assert grounded(one.explanation.assessment)
    assert not {"delinquency", "collections", "utilization", "inquiries"} & {r.code for r in one.reasons}


def test_a_score_is_used_if_and_only_if_its_value_can_change_a_decision(plain, looking):
    assert (plain.engine.uses_score, looking.engine.uses_score) == (False, True)
    assert "score_used" not in blocks(told(plain))
    assert "score_used" in blocks(told(looking))


def test_it_is_no_use_that_a_formula_asks_whether_there_is_one():
    product = consumer()
    assert "credit_score" in product.inputs("no_credit_file")
    assert product.inputs("no_credit_file", by_value=True) == frozenset()


def test_a_score_that_is_not_used_cannot_be_disclosed_as_used(looking, tmp_path):
    real = replace(demo_config(), specimen=False)
    with pytest.raises(ConfigError, match="do not use 'credit_score'.*Set none"):
        Explainer(engine(), lender=real)
    Explainer(looking.engine, lender=real)
    Explainer(engine(), lender=replace(real, score_disclosed="none"))
    past = tmp_path / "past.csv"
    process.history(1_500, 7).applications().to_csv(past, index=False)
    with pytest.raises(ConfigError, match="score_disclosed is 'bureau'.*do not use 'credit_score'"):
        train_into(past, tmp_path / "risk", RiskConfig(score_disclosed="bureau"))
    assert not (tmp_path / "risk").exists()


@pytest.mark.parametrize("code", ["delinquency", "inquiries", "utilization", "debt_to_income"])
def test_a_reason_whose_fact_is_null_is_found(code):
    names = [one.name for one in consumer().features if one.reason == code]
    table = declined(income_verified=True, **dict.fromkeys(names))
    one = engine().assess(application_from(table).applicant)
    planted = replace(
        one,
        decision="declined",
        missing=(),
        reasons=(Reason(code=code, contribution=1.0, strength="strong"),),
    )
    text = f"We have declined your request. A major reason is {consumer().reasons[code].template[0]}."
    assert "G3" in {found.rule for found in check(text, planted) if "not known" in found.fact}
