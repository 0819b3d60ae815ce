"""Facts as slots: each formatted once, right for every value, and none unknown."""

import random
import re

import pytest
from applicants import applicant
from hypothesis import given
from hypothesis import strategies as st

from lendsafe import slots
from lendsafe.corpus.scenarios import random_assessment
from lendsafe.errors import DataError
from lendsafe.product import PACKAGED, consumer, load
from lendsafe.product.show import shown as written
from lendsafe.records import Assessment


def facts(**values) -> dict[str, str]:
    one = applicant("x", **{"loan_amount": 12_500} | values)
    return slots.facts(Assessment(applicant=one, decision="declined", default_probability=0.5, cutoff=0.1))


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("loan_amount", 12_500, "$12,500"),
        ("loan_amount", 1_000_000.0, "$1,000,000"),
        ("loan_amount", 12_000.5, "$12,000.50"),
        ("loan_amount", 12_000.004, "$12,000"),
        ("annual_income", 0, "$0"),
        ("debt_to_income", 38.2, "38.2%"),
        ("debt_to_income", 38.0, "38%"),
        ("debt_to_income", 0, "0%"),
        ("debt_to_income", 38.25, "38.2%"),
        ("credit_score", 612, "612"),
        ("delinquencies_24m", 0, "0 late payments in the past 24 months"),
        ("delinquencies_24m", 1, "1 late payment in the past 24 months"),
        ("delinquencies_24m", 2, "2 late payments in the past 24 months"),
        ("bankruptcies", 1, "1 bankruptcy"),
        ("bankruptcies", 2, "2 bankruptcies"),
        ("collections", 1, "1 collection or judgment"),
        ("inquiries_6m", 1, "1 inquiry in the past 6 months"),
        ("inquiries_6m", 5, "5 inquiries in the past 6 months"),
        ("accounts_opened_24m", 1, "1 new account in the past 24 months"),
        ("open_accounts", 3, "3 open accounts"),
        ("loan_term_months", 36, "3 years"),
        ("employment_months", 0, "0 months"),
        ("employment_months", 1, "1 month"),
        ("employment_months", 23, "23 months"),
        ("employment_months", 24, "2 years"),
        ("employment_months", 25, "2 years and 1 month"),
        ("oldest_account_months", 131, "10 years and 11 months"),
        ("revolving_utilization", 110.5, "110.5%"),
    ],
)
def test_a_fact_as_a_reader_sees_it(name, value, shown):
    assert facts(**{name: value})[name] == shown


def test_what_is_not_known_has_no_slot():
    assert "credit_score" not in facts()
    assert "counteroffer_amount" not in facts()


def test_every_slot_of_a_reason_is_known():
    for name in PACKAGED:
        for code in load(name).reasons.values():
            assert set(code.slots) <= slots.known(load(name))


def test_names_in_order_with_repetitions():
    assert slots.names("{b} and {a}, {b}; {Not} {} {1x}") == ["b", "a", "b"]


def test_an_unknown_slot_is_named_with_what_is_known():
    with pytest.raises(DataError, match=re.escape("Unknown slot '{income}'. Known: a, b.")):
        slots.render("{a} {income}", {"b": "2", "a": "1"})


@given(st.integers(0, 2**32 - 1))
def test_rendering_fills_every_slot_and_nothing_else(seed):
    assessment, _ = random_assessment(random.Random(seed))
    values = slots.facts(assessment)
    text = " / ".join(f"{name} {{{name}}}" for name in values)
    assert slots.render(text, values) == " / ".join(f"{name} {value}" for name, value in values.items())
    assert slots.render("no slot", values) == "no slot"


FIGURES = sorted(name for name, one in consumer().values.items() if one.numeric)


@given(st.sampled_from(FIGURES), st.integers(0, 480))
def test_a_figure_in_a_fact_is_the_value(name, value):
    """Read back, months from years and without the period: what is shown is what is known."""
    field = consumer().fields[name]
    shown = written(field, value)
    if field.window:
        assert shown.endswith(f" in the {field.window}")
        shown = shown.removesuffix(f" in the {field.window}")
    numbers = [int(one.replace(",", "")) for one in re.findall(r"\d[\d,]*", shown)]
    if "year" in shown:
        assert 12 * numbers[0] + sum(numbers[1:]) == value
    else:
        assert numbers == [value]
