"""Schemas, the template for files without one, and the dataset that an import writes."""

import json
import tomllib

import pandas as pd
import pytest
from lendsafe.risk.ingest import band, read_file
from risk_cases import german, people
from shared_data import shared_data

from lendsafe.errors import ConfigError, DataError, ExistsError
from lendsafe.risk import dataset, guess, schema
from lendsafe.risk.model.training import data_hash

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
        ('kind = "table"', "'name' is missing"),
        ('name = "x"\nkind = "sheet"', "'kind' is 'sheet'"),
        ('name = "x"\nkind = "table"\n[columns.a]\nparser = "eval"', "'parser' is 'eval'"),
        ('name = "x"\nkind = "table"\n[columns.a]\nlow = "1"', "'low' is '1'"),
        ('name = "x"\nkind = "table"\n[columns.a]\nsorce = ["b"]', "Did you mean 'source'"),
        ('name = "x"\nkind = "table"\n[columns.a]', "no reason for 'a'"),
        ('name = "x"\nkind = "table"\n[columns.a]\nreason = "r"', "unknown reason 'r'"),
        ('name = "x"\nkind = "table"\ncolumns = 1', "'columns' is 1"),
        ('name = "x"\nkind = "table"\ncolumns = { a = 1 }', "column 'a' is 1"),
        ('name = "x"\nkind = "application"\n[columns.incme]', "'incme' is no field"),
        (
            'name = "x"\nkind = "table"\n[columns.a]\nparser = "months_since"\nreason = "r"',
            "needs a 'reference'",
        ),
        ('name = "x"\nkind = "table"\n[[aside]]\ncolumns = ["a"]\nrole = "leak"', "'why' is missing"),
        ("name = ", "not TOML"),
    ],
)
def test_a_wrong_schema_is_refused_with_what_is_wrong(tmp_path, text, message):
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        schema.load(str(tmp_path / "s.toml"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(ConfigError, match="Did you mean 'german'"):
        schema.load("germn")


@pytest.mark.parametrize("name", FILES)
def test_a_template_of_every_real_file_is_toml_that_covers_every_column(name):
    path = shared_data(f"lending/{name}.csv")
    table = tomllib.loads(guess.template(path))
    text = path.read_bytes().decode("utf-8-sig").replace("\r", "\n").split("\n", 1)[0]
    named = [s for c in table["columns"].values() for s in c["source"]]
    named += [c for one in table.get("aside", []) for c in one["columns"]]
    assert sorted(named) == sorted(text.replace('"', "").split(";" if ";" in text else ","))


@pytest.mark.parametrize("name", ["german_credit", "lending_club_2498"])
def test_a_template_does_not_load_before_a_person_gave_every_feature_a_reason(tmp_path, name):
    template = guess.template(shared_data(f"lending/{name}.csv"))
    (tmp_path / "s.toml").write_text(template)
    with pytest.raises(ConfigError, match="no reason for"):
        schema.load(str(tmp_path / "s.toml"))
    filled = template.replace('reason = ""', 'reason = "other"')
    filled = filled.replace("\n[columns", '\nother = "Other"\n[columns', 1)
    filled = filled.replace('"bad" = 0', '"bad" = 1')
    (tmp_path / "s.toml").write_text(filled)
    found = read_file(shared_data(f"lending/{name}.csv"), schema.load(str(tmp_path / "s.toml")))
    assert len(found.frame) in (1000, 2498)
    if name == "german_credit":
        assert found.frame["defaulted"].sum() == 300
        assert {"age_in_years", "foreign_worker"} <= set(found.protected) | set(found.lineage["set_aside"])


def test_a_template_sets_aside_what_is_known_after_the_decision_and_what_is_protected():
    table = tomllib.loads(guess.template(shared_data("lending/lending_club_2018q2_sample.csv")))
    aside = {c: one["role"] for one in table["aside"] for c in one["columns"]}
    assert {aside[c] for c in ("int_rate", "grade", "total_pymnt", "recoveries")} == {"leak"}
    assert table["columns"]["zip_code"]["role"] == "protected"
    assert table["columns"]["annual_inc"]["reason"] == "income"
    assert table["columns"]["revol_util"]["parser"] == "percent"


def test_a_file_without_names_gets_no_template(tmp_path):
    (tmp_path / "a.csv").write_text("a,,b\n1,2,3\n")
    with pytest.raises(DataError, match="needs a name of its own"):
        guess.template(tmp_path / "a.csv")


def test_bands_by_hand():
    assert [band(v, (25, 40, 62)) for v in (24, 25, 39, 40, 62)] == [
        "under 25", "25 to 39", "25 to 39", "40 to 61", "62 or more",
    ]  # fmt: skip


@pytest.mark.parametrize("name", FILES[:4])
def test_what_an_import_writes_reads_back_the_same(tmp_path, name):
    kind = {"german_credit": "german", "boston_loanapp": "boston"}.get(name, "lending-club")
    out = tmp_path / "new" / "applications.csv"
    before = dataset.import_file(shared_data(f"lending/{name}.csv"), kind, out)
    after = dataset.read(out)
    assert after.features.features == before.features.features
    assert list(after.features.statements.items()) == list(before.features.statements.items())
    assert after.lineage["sha256"] == before.lineage["sha256"]
    assert after.lineage["edited_since_import"] is False
    for column in before.frame:
        one, other = before.frame[column], after.frame[column]
        if pd.api.types.is_numeric_dtype(one):
            one, other = one.astype("Float64").round(9), other.astype("Float64").round(9)
        assert one.isna().tolist() == other.isna().tolist()
        assert one.dropna().tolist() == other.dropna().tolist(), column


def test_protected_columns_are_in_a_file_of_their_own_and_matched_by_identifier(tmp_path):
    out = tmp_path / "applications.csv"
    dataset.import_file(shared_data("lending/german_credit.csv"), "german", out)
    assert not {"age_in_years", "foreign_worker", "sex"} & set(out.read_text().splitlines()[0].split(","))
    table = pd.read_csv(tmp_path / "applications.protected.csv", dtype=str)
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "applications.protected.csv", index=False)
    found = dataset.read(out)
    assert found.protected["age_in_years"].tolist() == german().protected["age_in_years"].tolist()


def test_an_import_overwrites_nothing(tmp_path):
    (tmp_path / "applications.protected.csv").write_text("mine")
    with pytest.raises(ExistsError, match="protected"):
        dataset.import_file(shared_data("lending/german_credit.csv"), "german", tmp_path / "applications.csv")
    assert not (tmp_path / "applications.csv").exists()


def test_an_edited_import_says_so(tmp_path):
    out = tmp_path / "applications.csv"
    dataset.import_file(shared_data("lending/german_credit.csv"), "german", out)
    out.write_text(out.read_text().replace(",6,", ",7,", 1))
    assert dataset.read(out).lineage["edited_since_import"] is True


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', '{"format": 9, "kind": "table"}'])
def test_a_spoilt_account_of_an_import_is_refused(tmp_path, text):
    out = tmp_path / "applications.csv"
    dataset.import_file(shared_data("lending/german_credit.csv"), "german", out)
    (tmp_path / "applications.json").write_text(text)
    with pytest.raises(DataError, match="Import again"):
        dataset.read(out)


def test_our_own_columns_need_no_import(tmp_path):
    people().applications().to_csv(tmp_path / "history.csv", index=False)
    found = dataset.read(tmp_path / "history.csv")
    assert found.features.kind == "application"
    assert found.frame["defaulted"].tolist() == people().defaulted.astype(int).tolist()
    assert found.protected is None
    people().protected.to_csv(tmp_path / "groups.csv", index=False)
    again = dataset.read(tmp_path / "history.csv", protected=tmp_path / "groups.csv")
    assert again.protected["race"].tolist() == people().protected["race"].tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sex\nmale\n", "no column 'applicant_id'"),
        ("applicant_id,sex\nnobody,male\n", "none of its applicants"),
        ("applicant_id,sex\na,m\na,f\n", "'a' is there twice"),
    ],
)
def test_protected_columns_that_match_nobody_are_refused(tmp_path, text, message):
    people().applications().to_csv(tmp_path / "history.csv", index=False)
    (tmp_path / "groups.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        dataset.read(tmp_path / "history.csv", protected=tmp_path / "groups.csv")


def test_lineage_is_json(tmp_path):
    dataset.import_file(shared_data("lending/boston_loanapp.csv"), "boston", tmp_path / "applications.csv")
    table = json.loads((tmp_path / "applications.json").read_text())
    assert table["lineage"]["set_aside"]["reject"].startswith("leak")


def test_a_file_read_either_way_is_the_same_data_to_a_model(tmp_path):
    """So a report knows its training file again, whoever read it, in whatever order its rows are."""
    people().applications().to_csv(tmp_path / "h.csv", index=False)
    one, other = pd.read_csv(tmp_path / "h.csv"), dataset.read(tmp_path / "h.csv").frame
    assert data_hash(one) == data_hash(other) == data_hash(other[::-1])
    assert data_hash(other.assign(loan_amount=other["loan_amount"] + 1)) != data_hash(other)
