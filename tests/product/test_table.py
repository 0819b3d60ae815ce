"""Import of credit files: every real file, its odd cells by hand, and errors that name line and column."""

import csv
import random

import numpy as np
import pandas as pd
import pytest
from shared_data import shared_data

from lendsafe.errors import DataError
from lendsafe.product import load, table
from lendsafe.product.table import read_table
from lendsafe.risk.features import feature_set

FILES = {
    "german_credit": ("german", 1000, 1000),
    "boston_loanapp": ("boston", 1989, 0),
    "lending_club_2018q2_sample": ("lending-club", 19, 0),
    "lending_club_2498": ("lending-club", 2498, 0),
    "lending_club_openintro_10k": ("lending-club", 10_000, 447 + 7 + 66),
}


@pytest.fixture(scope="module", params=FILES)
def imported(request):
    name = request.param
    product = load(FILES[name][0])
    return name, product, read_table(shared_data(f"lending/{name}.csv"), product)


def test_every_real_file_is_read_whole(imported):
    name, _, found = imported
    _, rows, outcomes = FILES[name]
    assert (len(found.frame), found.lineage["rows"], found.lineage["outcomes"]) == (rows, rows, outcomes)
    assert len(found.lineage["sha256"]) == 64


def test_every_column_of_a_real_file_is_used_or_set_aside_with_a_reason_or_listed(imported):
    name, product, found = imported
    text = shared_data(f"lending/{name}.csv").read_bytes().decode("utf-8-sig")
    header = text.replace("\r", "\n").split("\n", 1)[0]
    columns = next(csv.reader([header], delimiter=";" if ";" in header else ","))
    used = {s for c in product.fields.values() for s in (*c.columns, c.name, *c.since, *c.joint_columns)}
    used |= set(product.joint.columns) if product.joint else set()
    used -= set(found.lineage["set_aside"])
    aside, unmapped = found.lineage["set_aside"], found.lineage["unmapped"]
    assert set(columns) == (used & set(columns)) | set(aside) | set(unmapped)
    assert not set(aside) & set(unmapped)
    assert all(
        ": " in why and why.split(": ")[0] in ("leak", "protected", "identifier", "kept")
        for why in aside.values()
    )


def test_nothing_protected_or_known_after_the_decision_is_a_feature(imported):
    _, product, found = imported
    named = {f.name for f in feature_set(product, found.present).features}
    assert not named & {c for c in found.protected.columns if c != "applicant_id"}
    leaks = ("int_rate", "interest", "grade", "pymnt", "paid", "recover", "sex", "race", "age_in", "foreign")
    assert not [n for n in named if any(n.startswith(word) for word in leaks)]
    assert not set(found.protected.columns[1:]) & set(found.frame.columns)


def test_the_original_lending_club_file_by_hand():
    """Semicolons, CR alone as line end, mangled dates, joint applications."""
    found = read_table(shared_data("lending/lending_club_2018q2_sample.csv"), load("lending-club"))
    row = found.frame.iloc[0]
    assert (row["loan_amount"], row["loan_term_months"], row["revolving_utilization"]) == (10_000, 36, 98.4)
    assert row["oldest_account_months"] == 13 * 12 + 2  # 5-Apr (April 2005) to 18-Jun (June 2018)
    assert (row["annual_income"], row["debt_to_income"]) == (53_000, 30.14)  # the joint figures, not 56 %
    assert row["employment_months"] == 36
    assert pd.isna(found.frame["employment_months"].iloc[5])  # n/a
    assert found.frame["employment_months"].iloc[15] == 0  # < 1 year
    assert found.frame["employment_months"].iloc[4] == 120  # 10+ years
    assert found.frame["oldest_account_months"].iloc[6] == 28 * 12  # Jun-90
    assert found.frame["defaulted"].isna().all()  # all are current: no outcome yet


def test_the_dotted_lending_club_file_by_hand():
    found = read_table(shared_data("lending/lending_club_2498.csv"), load("lending-club"))
    row = found.frame.iloc[0]
    assert (row["debt_to_income"], row["credit_score"], row["inquiries_6m"]) == (14.9, 735, 2)
    assert row["annual_income"] == pytest.approx(12 * 6541.67)
    assert found.lineage["set_aside"]["Interest.Rate"].startswith("leak")


def test_the_openintro_lending_club_file_by_hand():
    found = read_table(shared_data("lending/lending_club_openintro_10k.csv"), load("lending-club"))
    row = found.frame[found.frame["applicant_id"] == "5"].iloc[0]  # a joint application
    assert (row["annual_income"], row["debt_to_income"], row["employment_months"]) == (57_000, 37.66, 120)
    assert row["oldest_account_months"] == 9 * 12 + 3  # 2008, so December 2008 at the latest, to March 2018
    assert found.frame["employment_months"].isna().sum() == 817


def test_the_boston_file_by_hand():
    found = read_table(shared_data("lending/boston_loanapp.csv"), load("boston"))
    assert (found.frame["decision"] == "approved").sum() == 1745
    assert found.frame["credit_lines"].isna().sum() == 2  # 999999.375 and 0.1 are codes, no numbers of lines
    assert found.protected["sex_group"].isna().sum() == 15
    assert "suffolk" in found.lineage["set_aside"]


def test_the_german_file_by_hand():
    found = read_table(shared_data("lending/german_credit.csv"), load("german"))
    assert found.frame["defaulted"].sum() == 300
    assert pd.isna(found.frame["savings_account_and_bonds"].iloc[0])  # "unknown/ no savings account"
    assert found.protected["age_in_years"].iloc[0] == "62 or more"  # 67: only the band leaves the file


def test_a_protected_column_that_was_sorted_apart_from_its_rows_is_not_assessed():
    """In this copy the first 50 of 1,000 are divorced men; UCI's first is a single man, its second a woman."""
    found = read_table(shared_data("lending/german_credit.csv"), load("german"))
    assert list(found.protected) == ["applicant_id", "age_in_years", "foreign_worker"]
    assert "was sorted" in found.lineage["set_aside"]["personal_status_and_sex"]


def test_blocks_are_told_from_chance():
    rng = np.random.default_rng(0)
    values = pd.Series(rng.choice(["a", "b", "c"], 400, p=[0.7, 0.2, 0.1]))
    assert not table.in_blocks(values)
    assert table.in_blocks(values.sort_values())
    assert not table.in_blocks(pd.Series(["a"] * 30 + ["b"] * 30))  # too few to tell


HEADER = ["id", "loan_amnt", "term", "annual_inc", "dti", "revol_util", "emp_length", "loan_status"]
ROW = ["7", "10000", " 36 months", "50000", "20.1", "98.40%", "< 1 year", "Fully Paid"]


def write(path, rows, delimiter=",", end="\n", header=HEADER):
    path.write_text(end.join(delimiter.join(row) for row in [header, *rows]) + end, newline="")
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_separator_and_line_end_gives_the_same_row(tmp_path, delimiter, end):
    found = read_table(write(tmp_path / "a.csv", [ROW], delimiter, end), load("lending-club"))
    row = found.frame.iloc[0]
    assert (row["applicant_id"], row["loan_amount"], row["revolving_utilization"]) == ("7", 10_000, 98.4)
    assert (row["employment_months"], row["defaulted"]) == (0, 0)


def test_blank_lines_and_footers_are_left_out_and_counted(tmp_path):
    path = write(tmp_path / "a.csv", [ROW, [""] * 8, ["Total amount funded in policy code 1: 9", *[""] * 7]])
    found = read_table(path, load("lending-club"))
    assert (found.lineage["rows"], found.lineage["footer_rows"]) == (1, 1)


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("dti", "high", "line 2, column 'dti': 'high': expected a number"),
        ("dti", "501", "line 2, column 'dti': '501': expected a percentage from 0 to 500 percent"),
        ("loan_amnt", "0", "line 2, column 'loan_amnt': '0': expected an amount from 1 to 1000000 USD"),
        ("term", "36 weeks", "line 2, column 'term': '36 weeks': expected a duration such as '36 months'"),
        ("loan_status", "Paid?", "line 2, column 'loan_status': 'Paid?': expected one of "),
        (
            "emp_length",
            "70 years",
            "line 2, column 'emp_length': '70 years': expected a duration from 0 to 720 months",
        ),
    ],
)
def test_a_wrong_cell_is_named_with_line_and_column(tmp_path, column, cell, message):
    row = list(ROW)
    row[HEADER.index(column)] = cell
    with pytest.raises(DataError) as caught:
        read_table(write(tmp_path / "a.csv", [row]), load("lending-club"))
    assert message in str(caught.value)


def test_every_problem_of_a_file_is_named_at_once(tmp_path):
    rows = [[str(i), *ROW[1:]] for i in range(40)]
    for row in rows[::2]:
        row[4] = "bad"
    rows[1] = rows[1][:3]
    with pytest.raises(DataError) as caught:
        read_table(write(tmp_path / "a.csv", rows), load("lending-club"), strict=True)
    text = str(caught.value)
    assert text.count("line ") == table.MOST_SHOWN
    assert "line 3: 3 columns; the header has 8" in text
    assert "and 1 more" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "Is it the right product?"),
        (b"loan_amnt,dti,dti\n1,2,3\n", "'dti' is there twice"),
        (b"dti,term\n1,36\n", "no column for 'loan_amount'"),
        (b"loan_amnt,dti\n", "a header and no rows"),
        (b"loan_amnt,dti\n5,\xff\n", "line 2, column 'dti': 'ÿ': expected a number"),
        (b"loan_amnt,dti\n5,\x00\n", "line 2: a NUL character"),
        (b'loan_amnt,dti\n5,"1\n', "line 2"),
    ],
)
def test_what_is_no_such_table_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_table(path, load("lending-club"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_identifier_that_comes_twice_is_named(tmp_path):
    path = write(tmp_path / "a.csv", [ROW, ROW])
    said = "line 3: identifier '7' is that of line 2; identifiers must differ"
    with pytest.raises(DataError, match=said):
        read_table(path, load("lending-club"), strict=True)
    found = read_table(path, load("lending-club"))
    assert (len(found.frame), [one.text() for one in found.rejects]) == (1, [said])


def test_a_wrong_row_is_set_aside_and_stops_no_other(tmp_path):
    wrong = ["8", *ROW[1:4], "high", *ROW[5:]]
    found = read_table(write(tmp_path / "a.csv", [ROW, wrong, ["9", *ROW[1:]]]), load("lending-club"))
    assert found.frame["applicant_id"].tolist() == ["7", "9"]
    assert [one.text() for one in found.rejects] == ["line 3, column 'dti': 'high': expected a number"]
    assert found.lineage["rejected_rows"] == 1


def test_an_amount_that_is_not_known_is_not_known(tmp_path):
    row = [ROW[0], "", *ROW[2:]]
    assert (
        read_table(write(tmp_path / "a.csv", [row]), load("lending-club")).frame["loan_amount"].isna().all()
    )


PIECES = [
    "",
    " ",
    "0",
    "-1",
    "1e5",
    "1e999",
    "nan",
    "inf",
    "%",
    "n/a",
    "١",
    "9" * 400,
    "'",
    "=1+1",
    "36 month",
    "3,5",
]


def mutated(cells, rng):
    """Change one to three cells: other text, a letter more or less, a swap."""
    cells = list(cells)
    for _ in range(rng.randint(1, 3)):
        i = rng.randrange(len(cells))
        kind = rng.randrange(5)
        if kind == 0:
            cells[i] = rng.choice(PIECES)
        elif kind == 1:
            at = rng.randint(0, len(cells[i]))
            cells[i] = cells[i][:at] + chr(rng.choice([*range(32, 127), 0xE9, 0x3000])) + cells[i][at:]
        elif kind == 2 and cells[i]:
            at = rng.randrange(len(cells[i]))
            cells[i] = cells[i][:at] + cells[i][at + 1 :]
        elif kind == 3:
            j = rng.randrange(len(cells))
            cells[i], cells[j] = cells[j], cells[i]
        elif rng.random() < 0.2:
            cells = [*cells, "x"] if rng.random() < 0.5 else cells[:-1]
    return cells


def soak_rows(count, tmp_path, names=("lending_club_2018q2_sample", "german_credit", "boston_loanapp")):
    """Each mutated row is read alone: an error that names line 2, or a row that is right.

    Right: values are inside the declared ranges, and those whose own cells did not change are as before.
    """
    rng = random.Random(0)
    read = refused = 0
    for name in names:
        source = load(FILES[name][0])
        text = shared_data(f"lending/{name}.csv").read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        delimiter = ";" if ";" in text.replace("\r", "\n").split("\n", 1)[0] else ","
        table = list(csv.reader(text.replace("\r", "\n").splitlines(), delimiter=delimiter))
        path = tmp_path / "row.csv"
        for _ in range(count // len(names)):
            before = rng.choice(table[1:20])
            after = mutated(before, rng)
            found = [_read_alone(path, table[0], row, delimiter, source) for row in (before, after)]
            if found[1] is None:
                refused += 1
                continue
            read += 1
            changed = {
                head for head, a, b in zip(table[0], before, after, strict=True) if a.strip() != b.strip()
            }
            _check_row(*found, source, changed)
    assert read > count / 10
    assert refused > count / 10


def _read_alone(path, header, row, delimiter, source):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, row])
    try:
        return read_table(path, source).frame.iloc[0]
    except DataError as problem:
        assert ("line 2" in str(problem) and "column" in str(problem)) or "no rows" in str(problem)
        assert "\n" not in str(problem)
        return None


def _check_row(before, after, source, changed):
    joint = set(source.joint.columns) if source.joint else set()
    for column in source.fields.values():
        if column.name not in after or column.name == "applicant_id" or column.formula:
            continue
        value = after[column.name]
        if isinstance(value, int | float | np.number) and not pd.isna(value) and not column.map:
            assert column.low is None or value >= column.low
            assert column.high is None or value <= column.high
        if not changed & {*column.columns, column.name, *column.since, *column.joint_columns, *joint}:
            assert str(value) == str(before[column.name])


def test_a_mutated_row_is_read_right_or_refused_with_line_and_column(tmp_path):
    soak_rows(300, tmp_path)


@pytest.mark.soak
def test_20_000_mutated_rows_are_read_right_or_refused_with_line_and_column(tmp_path):
    soak_rows(20_000, tmp_path)
