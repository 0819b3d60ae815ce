"""The dataset that a raw file or an import gives, and what an import writes."""

import json

import pandas as pd
import pytest
from risk_cases import german, people
from shared_data import shared_data

from lendsafe.errors import DataError, ExistsError
from lendsafe.product import consumer, load
from lendsafe.risk import dataset
from lendsafe.risk.model.training import data_hash

FILES = [
    "german_credit",
    "boston_loanapp",
    "lending_club_2018q2_sample",
    "lending_club_2498",
    "lending_club_openintro_10k",
]


@pytest.mark.parametrize("name", FILES[:4])
def test_what_an_import_writes_reads_back_the_same(tmp_path, name):
    kind = {"german_credit": "german", "boston_loanapp": "boston"}.get(name, "lending-club")
    out = tmp_path / "new" / "applications.csv"
    path, product = shared_data(f"lending/{name}.csv"), load(kind)
    dataset.import_file(path, product, out)
    account = json.loads(out.with_suffix(".json").read_text())["lineage"]
    before, after = dataset.read(path, product), dataset.read(out, product)
    assert after.features.features == before.features.features
    assert list(after.features.statements.items()) == list(before.features.statements.items())
    assert account["sha256"] == before.lineage["sha256"]
    assert account["applications_sha256"] == after.lineage["sha256"]
    assert after.rejects == ()
    for column in before.frame:
        one, other = before.frame[column], after.frame[column]
        if pd.api.types.is_numeric_dtype(one):
            one, other = one.astype("Float64").round(9), other.astype("Float64").round(9)
        assert one.isna().tolist() == other.isna().tolist()
        assert one.dropna().tolist() == other.dropna().tolist(), column


def test_protected_columns_are_in_a_file_of_their_own_and_matched_by_identifier(tmp_path):
    out = tmp_path / "applications.csv"
    dataset.import_file(shared_data("lending/german_credit.csv"), load("german"), out)
    assert not {"age_in_years", "foreign_worker", "sex"} & set(out.read_text().splitlines()[0].split(","))
    table = pd.read_csv(tmp_path / "applications.protected.csv", dtype=str)
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "applications.protected.csv", index=False)
    found = dataset.read(out, load("german"))
    assert found.protected["age_in_years"].tolist() == german().protected["age_in_years"].tolist()


def test_an_import_overwrites_nothing(tmp_path):
    (tmp_path / "applications.protected.csv").write_text("mine")
    with pytest.raises(ExistsError, match="protected"):
        dataset.import_file(
            shared_data("lending/german_credit.csv"), load("german"), tmp_path / "applications.csv"
        )
    assert not (tmp_path / "applications.csv").exists()


def test_an_edited_import_is_another_file_than_its_account_says(tmp_path):
    out = tmp_path / "applications.csv"
    dataset.import_file(shared_data("lending/german_credit.csv"), load("german"), out)
    account = json.loads(out.with_suffix(".json").read_text())["lineage"]
    out.write_text(out.read_text().replace(",6 months,", ",7 months,", 1))
    assert dataset.read(out, load("german")).lineage["sha256"] != account["applications_sha256"]


def test_our_own_columns_need_no_import(tmp_path):
    people().applications().to_csv(tmp_path / "history.csv", index=False)
    found = dataset.read(tmp_path / "history.csv", consumer())
    assert found.features.names == tuple(f.name for f in consumer().features)
    assert found.frame["defaulted"].tolist() == people().defaulted.astype(int).tolist()
    assert found.protected is None
    people().protected.to_csv(tmp_path / "groups.csv", index=False)
    again = dataset.read(tmp_path / "history.csv", consumer(), protected=tmp_path / "groups.csv")
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
        dataset.read(tmp_path / "history.csv", consumer(), protected=tmp_path / "groups.csv")


def test_lineage_is_json(tmp_path):
    dataset.import_file(
        shared_data("lending/boston_loanapp.csv"), load("boston"), tmp_path / "applications.csv"
    )
    table = json.loads((tmp_path / "applications.json").read_text())
    assert table["lineage"]["set_aside"]["reject"].startswith("leak")


def test_a_file_read_either_way_is_the_same_data_to_a_model(tmp_path):
    """So a report knows its training file again, whoever read it, in whatever order its rows are."""
    people().applications().to_csv(tmp_path / "h.csv", index=False)
    one, other = pd.read_csv(tmp_path / "h.csv"), dataset.read(tmp_path / "h.csv", consumer()).frame
    assert data_hash(one, consumer()) == data_hash(other, consumer()) == data_hash(other[::-1], consumer())
    assert data_hash(other.assign(loan_amount=other["loan_amount"] + 1), consumer()) != data_hash(
        other, consumer()
    )
