"""Parsers of one cell: what they accept, by hand; everything else is refused, never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lendsafe.product.parsers import (
    day_of,
    low_end,
    month,
    months,
    months_between,
    number,
    percent,
    whole,
    yes_no,
)

PARSERS = {
    "number": number, "whole": whole, "percent": percent, "months": months, "low_end": low_end, "month": month,
    "years": lambda cell: months(cell, "years"),
}  # fmt: skip


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
        ("months", "36 mo", 36),
        ("months", "2 yrs 3 mos", 27),
        ("months", "1.5 years", 18),
        ("years", "5", 60),
        ("years", "36 months", 36),
        ("number", "(9,000)", -9000),
        ("months", "< 1 year", 0),
        ("months", "1 year", 12),
        ("months", "3 years", 36),
        ("months", "10+ years", 120),
        ("low_end", "735-739", 735),
        ("low_end", "735", 735),
        ("month", "Mar-2018", 12 * 2018 + 2),
        ("month", "Sep-00", 12 * 2000 + 8),
        ("month", "18-Jun", 12 * 2018 + 5),  # a spreadsheet made it from Jun-18
        ("month", "5-Apr", 12 * 2005 + 3),
        ("month", "2018-03", 12 * 2018 + 2),
        ("month", "2001", 12 * 2001 + 11),
    ],
)
def test_a_cell_by_hand(parser, cell, value):
    assert PARSERS[parser](cell) == value


@pytest.mark.parametrize(
    ("parser", "cell"),
    [
        ("number", "1,00"), ("number", "12abc"), ("number", "1e999999"), ("number", "٣"), ("number", "."),
        ("number", "nan"), ("number", "inf"), ("whole", "3.5"), ("percent", "98%%"), ("number", "0,50"),
        ("months", "-36"), ("months", "ten years"), ("months", "36 weeks"),
        ("low_end", "739-735"), ("low_end", "735-"), ("month", "Foo-2018"), ("month", "2018-13"),
        ("month", "18-06"),
    ],
)  # fmt: skip
def test_anything_else_is_refused(parser, cell):
    with pytest.raises(ValueError, match="expected|decimal comma"):
        PARSERS[parser](cell)


@given(st.floats(-1e12, 1e12))
def test_every_float_reads_as_itself(value):
    assert PARSERS["number"](repr(value)) == value


@given(st.text(max_size=20), st.sampled_from(sorted(PARSERS)))
def test_any_text_is_a_finite_number_or_refused(cell, parser):
    try:
        value = PARSERS[parser](cell)
    except ValueError:
        return
    assert abs(value) < float("inf")


def test_a_date_after_its_reference_is_a_century_too_late():
    assert months_between(month("Jun-90"), month("18-Jun")) == 12 * 28
    assert months_between(month("Jun-60"), month("18-Jun")) == 12 * 58  # 2060 cannot be meant


def test_a_decimal_comma_by_hand():
    assert number("9.000,50", ",") == 9000.5
    with pytest.raises(ValueError, match="decimal comma"):
        number("0,5")


@pytest.mark.parametrize(
    ("cell", "order", "day"),
    [
        ("2026-11-27", "", "2026-11-27"),
        ("11/27/2026", "", "2026-11-27"),
        ("27.11.2026", "", "2026-11-27"),
        ("03/04/2026", "mdy", "2026-03-04"),
        ("03/04/2026", "dmy", "2026-04-03"),
        ("05/05/2026", "", "2026-05-05"),
    ],
)
def test_a_day_by_hand(cell, order, day):
    assert day_of(cell, order) == day


@pytest.mark.parametrize(
    "cell", ["2026-02-30", "03/04/2026", "27/11/26", "tomorrow", "٢٠٢٦-11-27", "13/13/2026"]
)
def test_a_day_that_is_none_or_may_be_two_is_refused(cell):
    with pytest.raises(ValueError, match="expected|no such day|day or month first"):
        day_of(cell)


def test_yes_and_no_in_any_case():
    assert [yes_no(cell) for cell in ("Y", "yes", "TRUE", "1")] == [True] * 4
    assert [yes_no(cell) for cell in ("n", "No", "false", "0.0")] == [False] * 4
    with pytest.raises(ValueError, match="yes or no"):
        yes_no("perhaps")
