"""Applications from files: every problem named by place and field, no value repeated."""

import json
from datetime import date

import pytest
from lending import approved, declined

from lendsafe.errors import DataError
from lendsafe.pipeline.applications import application_from, read_applications, read_file
from lendsafe.product import consumer

CANARY = "CANARY-7f3a"


def write(folder, name, content):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_json_jsonl_and_csv_say_the_same(tmp_path):
    tables = [declined(1), approved(2)]
    lines = write(tmp_path, "a.jsonl", "".join(json.dumps(one) + "\n" for one in tables))
    columns = [*(key for key in tables[0] if key != "contact"), "contact.name", "contact.address"]
    rows = [",".join(columns)]
    for one in tables:
        cells = {key: str(value) for key, value in one.items()}
        cells["key_factors"] = "; ".join(one["key_factors"])
        cells["contact.name"] = one["contact"]["name"]
        cells["contact.address"] = "; ".join(one["contact"]["address"])
        rows.append(",".join(f'"{cells[name]}"' for name in columns))
    found = [
        read_applications(path)
        for path in (
            write(tmp_path, "a.json", tables),
            lines,
            write(tmp_path, "a.csv", "\n".join(rows) + "\n"),
        )
    ]
    assert [one.applicant for one in found[0]] == [one.applicant for one in found[2]]
    for one in found[1:]:
        assert [(a.contact, a.key_factors, a.received) for a in one] == [
            (a.contact, a.key_factors, a.received) for a in found[0]
        ]


def test_one_object_over_several_lines_is_one_application(tmp_path):
    (one,) = read_applications(write(tmp_path, "a.json", json.dumps(declined(), indent=2)))
    assert one.received == date(2026, 11, 2)
    contact = declined()["contact"]
    assert one.source == {key: value for key, value in declined().items() if key != "contact"} | {
        "contact.name": contact["name"],
        "contact.address": "; ".join(contact["address"]),
        "key_factors": "; ".join(declined()["key_factors"]),
    }


def test_a_table_written_by_pandas_keeps_whole_numbers_whole(tmp_path):
    text = "applicant_id,loan_amount,delinquencies_24m,income_verified,collections,defaulted\nA,9000.0,2.0,True,,0\n"
    (one,) = read_applications(write(tmp_path, "a.csv", text))
    assert one.applicant["delinquencies_24m"] == 2
    assert one.applicant["collections"] is None
    assert one.applicant["income_verified"] is True
    assert one.contact is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"loan_amount": CANARY}, "column 'loan_amount': expected a number"),
        ({"loan_purpose": CANARY}, "column 'loan_purpose': expected one of"),
        ({"credit_score": 9_999}, "expected a score from 300 to 850"),
        ({"credit_score": 700.5}, "expected a whole number"),
        ({"income_verified": "perhaps"}, "expected yes or no"),
        ({"applicant_id": f"{CANARY}/../x"}, "is not opaque"),
        ({"applicant_id": "Maria Alvarez"}, "is not opaque"),
        ({"applicant_id": "078-05-1120"}, "is not opaque"),
        ({"applicant_id": "a" * 65}, "is not opaque"),
        ({"applicant_id": ".hidden"}, "is not opaque"),
        ({"received": CANARY}, "column 'received': expected a date"),
        ({"key_factors": [CANARY * 12]}, "the key factors cannot be used; expected a list"),
        ({"contact": CANARY}, "no field has the column 'contact'"),
        ({"contact": {"name": CANARY}}, "the contact has no address"),
        (
            {"contact": {"name": CANARY * 20, "address": ["x"]}},
            "column 'contact.name': 220 characters; at most 200",
        ),
        ({"contact": {"name": CANARY, "address": ["x"], "esign_consent": "perhaps"}}, "expected yes or no"),
        (
            {"contact": {"name": CANARY, "address": ["x"], "delivery": CANARY}},
            "'delivery' is none of mail, electronic",
        ),
        ({"contact": {"name": CANARY, "address": ["x"], "adress": 1}}, "Did you mean 'contact.address'"),
        ({"anual_income": 3}, "Did you mean 'annual_income'"),
    ],
)
def test_what_is_wrong_is_named_and_not_repeated(tmp_path, changes, says):
    path = write(tmp_path, "a.json", [declined(**changes)])
    with pytest.raises(DataError) as caught:
        read_applications(path)
    assert says in str(caught.value)
    assert CANARY not in str(caught.value)
    assert "Maria Alvarez" not in str(caught.value)
    with pytest.raises(DataError) as again:
        application_from(declined(**changes))
    assert CANARY not in str(again.value)


def test_a_column_that_the_product_does_not_name_is_told_and_not_used(tmp_path):
    path = write(tmp_path, "a.json", [declined(shoe_size=44)])
    found = read_file(path, consumer())
    assert found.unmapped == ("shoe_size",)
    assert found.applications[0].applicant == application_from(declined()).applicant


def test_identifiers_that_one_file_system_takes_for_the_same_are_refused(tmp_path):
    path = write(tmp_path, "a.json", [declined(applicant_id="ab-1"), declined(applicant_id="AB-1")])
    with pytest.raises(DataError, match="identifiers must differ"):
        read_applications(path)


def test_a_row_in_the_place_of_the_header_is_not_repeated(tmp_path):
    path = write(tmp_path, "a.csv", f"{CANARY} Maria,12000\n{CANARY} Bob,9000\n")
    with pytest.raises(DataError) as caught:
        read_applications(path)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f'{{"applicant_id": "A", "loan_amount": 1}} {CANARY}',
        f'[{{"applicant_id": "A", "loan_amount": 1}}] "{CANARY}"',
        f'{{"loan_amount": {"9" * 5000}, "employer": "{CANARY}"}}',
        f'{{"loan_amount": NaN, "employer": "{CANARY}"}}',
        f'{{"employer": "{CANARY}"',
        f'{{"employer": "{CANARY}\\ud800"}}',
        "[" * 100_000 + f'"{CANARY}"',
    ],
)
def test_what_is_no_json_is_refused_without_quoting_it(tmp_path, text):
    with pytest.raises(DataError) as caught:
        read_applications(write(tmp_path, "a.json", text))
    assert CANARY not in str(caught.value)
