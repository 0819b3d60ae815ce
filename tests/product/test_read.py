"""A product file: what is wrong with one is said with line and key; a draft of a raw file covers every column."""

import tomllib

import pytest
from shared_data import shared_data

from lendsafe.errors import ConfigError, DataError
from lendsafe.product import load
from lendsafe.product.new import draft
from lendsafe.product.values import band

FILES = [
    "german_credit",
    "boston_loanapp",
    "lending_club_2018q2_sample",
    "lending_club_2498",
    "lending_club_openintro_10k",
]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "x"', "fields: there are none"),
        ('name = "x"\n[fields.a]\nkind = "sheet"', "fields.a.kind: is 'sheet'; expected one of money"),
        ('name = "x"\n[fields.a]\nlow = "1"', "line 3: fields.a.low: is '1'; expected a number"),
        ('name = "x"\n[fields.a]\ncolums = ["b"]', "Did you mean 'columns'"),
        ('name = "x"\n[fields.a]', "line 2: fields.a.reason: every feature needs exactly one reason"),
        ('name = "x"\n[fields.a]\nreason = "r"', "'r'"),
        ('name = "x"\nfields = 1', "fields: is 1; expected a table"),
        ('name = "x"\nfields = { a = 1 }', "fields.a: is 1; expected a table"),
        ('name = "x"\n[[aside]]\ncolumns = ["a"]\nrole = "leak"\n[fields.a]\nrole = "kept"', "aside"),
        ('extends = "consumr"', "Did you mean 'consumer'"),
        ('name = "x"\nkind = "table"', "kind: unknown key"),
        ("name = ", "not TOML"),
    ],
)
def test_a_wrong_product_is_refused_with_what_is_wrong(tmp_path, text, message):
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(str(tmp_path / "s.toml"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(ConfigError, match="Did you mean 'german'"):
        load("germn")


@pytest.mark.parametrize("name", FILES)
def test_a_draft_of_every_real_file_is_toml_that_covers_every_column(name):
    path = shared_data(f"lending/{name}.csv")
    table = tomllib.loads(draft(path))
    text = path.read_bytes().decode("utf-8-sig").replace("\r", "\n").split("\n", 1)[0]
    fields = table["fields"].items()
    named = [s for key, one in fields if "formula" not in one for s in one.get("columns", [key])]
    named += [s for _, one in fields for s in (*one.get("since", ()), *one.get("joint_columns", ()))]
    named += [c for one in table.get("aside", []) for c in one["columns"]]
    header = text.replace('"', "").split(";" if ";" in text else ",")
    assert set(header) <= set(named)


def test_a_draft_sets_aside_what_is_known_after_the_decision_and_what_is_protected():
    table = tomllib.loads(draft(shared_data("lending/lending_club_2018q2_sample.csv")))
    role = {c: one["role"] for one in table.get("aside", []) for c in one["columns"]}
    role |= {
        c: one.get("role", "feature")
        for key, one in table["fields"].items()
        for c in one.get("columns", [key])
    }
    assert {role[c] for c in ("int_rate", "grade", "total_pymnt")} == {"leak"}
    assert role["recoveries"] == "kept"  # 0 in every row, so of no use
    assert role["zip_code"] == "protected"
    by_column = {c: one for key, one in table["fields"].items() for c in one.get("columns", [key])}
    assert by_column["revol_util"]["kind"] == "percent"


def test_a_file_without_names_gets_no_draft(tmp_path):
    (tmp_path / "a.csv").write_text("a,,b\n1,2,3\n")
    with pytest.raises(DataError, match="name"):
        draft(tmp_path / "a.csv")


def test_bands_by_hand():
    assert [band(v, (25, 40, 62)) for v in (24, 25, 39, 40, 62)] == [
        "under 25", "25 to 39", "25 to 39", "40 to 61", "62 or more",
    ]  # fmt: skip
