"""Parsers of one cell: what they accept, by hand; everything else is refused, never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lendsafe.risk.parsers import PARSERS, month, months_between


@pytest.mark.parametrize(
    ("parser", "cell", "value"),
    [
        ("number", "9000", 9000),
        ("number", "$9,000.50", 9000.5),
        ("number", "-1.5e3", -1500),
        ("whole", "3.0", 3),
        ("percent", "98.40%", 98.4),
        ("percent", "14.9", 14.9),
        ("months", "36 months", 36),
        ("months", "60", 60),
        ("years_in_months", "< 1 year", 0),
        ("years_in_months", "1 year", 12),
        ("years_in_months", "3 years", 36),
        ("years_in_months", "10+ years", 120),
        ("low_end", "735-739", 735),
        ("low_end", "735", 735),
        ("months_since", "Mar-2018", 12 * 2018 + 2),
        ("months_since", "Sep-00", 12 * 2000 + 8),
        ("months_since", "18-Jun", 12 * 2018 + 5),  # a spreadsheet made it from Jun-18
        ("months_since", "5-Apr", 12 * 2005 + 3),
        ("months_since", "2018-03", 12 * 2018 + 2),
        ("months_since", "2001", 12 * 2001 + 11),
    ],
)
def test_a_cell_by_hand(parser, cell, value):
    assert PARSERS[parser](cell) == value


@pytest.mark.parametrize(
    ("parser", "cell"),
    [
        ("number", "1,00"), ("number", "12abc"), ("number", "1e999999"), ("number", "٣"), ("number", "."),
        ("number", "nan"), ("number", "inf"), ("whole", "3.5"), ("percent", "98%%"), ("months", "36 years"),
        ("months", "-36"), ("years_in_months", "ten years"), ("years_in_months", "1.5 years"),
        ("low_end", "739-735"), ("low_end", "735-"), ("months_since", "Foo-2018"), ("months_since", "2018-13"),
        ("months_since", "18-06"),
    ],
)  # fmt: skip
def test_anything_else_is_refused(parser, cell):
    with pytest.raises(ValueError, match="expected"):
        PARSERS[parser](cell)


@given(st.floats(-1e12, 1e12))
def test_every_float_reads_as_itself(value):
    assert PARSERS["number"](repr(value)) == value


@given(st.text(max_size=20), st.sampled_from(sorted(set(PARSERS) - {"text"})))
def test_any_text_is_a_finite_number_or_refused(cell, parser):
    try:
        value = PARSERS[parser](cell)
    except ValueError:
        return
    assert abs(value) < float("inf")


def test_a_date_after_its_reference_is_a_century_too_late():
    assert months_between(month("Jun-90"), month("18-Jun")) == 12 * 28
    assert months_between(month("Jun-60"), month("18-Jun")) == 12 * 58  # 2060 cannot be meant
