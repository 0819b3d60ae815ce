"""``lendsafe record`` as a compliance officer meets it: verify, anchor, find, export, expire."""

import json
import zipfile
from datetime import date

import pytest
from lending import NOTICE_DAY, declined, risk_folder

from lendsafe.cli import main


@pytest.fixture(scope="module")
def risk(tmp_path_factory):
    return str(risk_folder(tmp_path_factory.mktemp("model")))


@pytest.fixture
def lendsafe(capsys, monkeypatch):
    monkeypatch.setattr("lendsafe.cli.explain._today", lambda: date.fromisoformat(NOTICE_DAY))

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        told = capsys.readouterr()
        return ended.value.code, told.out, told.err

    return call


@pytest.fixture
def record(lendsafe, risk, tmp_path):
    folder = tmp_path / "record"
    for number in (1, 2):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(declined(number)))
        made = lendsafe("explain", path, "--risk", risk, "--record", folder, "--notice-date", NOTICE_DAY)
        assert made[0] == 0
    return folder


def test_a_record_verifies_and_a_flipped_byte_is_found(lendsafe, record):
    code, out, _ = lendsafe("record", "verify", record)
    assert code == 0
    assert "2 records, every byte as it was written, no anchor given" in out
    assert json.loads(lendsafe("record", "verify", record, "--json")[1])["records"] == 2
    path = sorted(record.glob("records/*/application.json"))[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)
    code, out, err = lendsafe("record", "verify", record)
    assert (code, out) == (8, "")
    assert "application.json: changed since it was written" in err


def test_an_anchor_finds_that_the_last_line_is_gone(lendsafe, record, tmp_path):
    code, line, _ = lendsafe("record", "anchor", record)
    assert code == 0
    assert line.startswith("lendsafe-anchor 2 ")
    (tmp_path / "anchor.txt").write_text(line)
    for given in (line.strip(), tmp_path / "anchor.txt"):
        code, out, _ = lendsafe("record", "verify", record, "--anchor", given)
        assert code == 0
        assert "as the anchor says" in out
    ledger = record / "ledger.jsonl"
    last = json.loads(ledger.read_text().splitlines()[1])["id"]
    ledger.write_text(ledger.read_text().splitlines(keepends=True)[0])
    for one in (record / "records" / last).iterdir():
        one.unlink()
    (record / "records" / last).rmdir()
    assert lendsafe("record", "verify", record)[0] == 0
    code, _, err = lendsafe("record", "verify", record, "--anchor", tmp_path / "anchor.txt")
    assert code == 8
    assert "the anchor vouches for 2: 1 were removed" in err


def test_half_a_line_is_mended_only_if_it_is_asked_for(lendsafe, record):
    ledger = record / "ledger.jsonl"
    with ledger.open("a") as file:
        file.write("{")
    assert lendsafe("record", "verify", record)[0] == 8
    assert ledger.read_text().endswith("{")
    code, _, err = lendsafe("record", "verify", record, "--mend")
    assert code == 0
    assert "1 bytes of a line removed" in err


def test_a_persons_file_is_found_and_released(lendsafe, record, tmp_path):
    code, out, _ = lendsafe("record", "find", record, "LS-000002")
    assert code == 0
    assert "denial, dated 2026-11-24, kept until 2028-12-24" in out
    assert len(json.loads(lendsafe("record", "find", record, "LS-000002", "--json")[1])["records"]) == 1
    assert lendsafe("record", "find", record, "LS-9")[1] == "No record of that application.\n"
    code, out, _ = lendsafe(
        "record", "export", record, "--out", tmp_path / "a.zip", "--application", "LS-000002"
    )
    assert code == 0
    assert "1 of 2 records" in out
    with zipfile.ZipFile(tmp_path / "a.zip") as pack:
        assert "verify.py" in pack.namelist()


def test_a_sample_is_packed_the_same_each_time(lendsafe, record, tmp_path):
    for name in ("a", "b"):
        assert lendsafe("record", "export", record, "--out", tmp_path / f"{name}.zip", "--sample", 1)[0] == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_nothing_is_destroyed_without_yes_or_before_its_day(lendsafe, record):
    code, out, _ = lendsafe("record", "expire", record)
    assert (code, "0 records would be destroyed" in out) == (0, True)
    assert len(list((record / "records").iterdir())) == 2
    code, _, err = lendsafe("record", "expire", record, "--date", "2090-01-01", "--yes")
    assert code == 8
    assert "still to come" in err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("verify", "{none}"), 5, "ledger.jsonl"),
        (("verify", "{none}", "--mend"), 5, "ledger.jsonl"),
        (("anchor", "{none}"), 5, "ledger.jsonl"),
        (("find", "{none}", "A-1"), 5, "ledger.jsonl"),
        (("expire", "{none}", "--yes"), 5, "ledger.jsonl"),
        (("export", "{none}", "--out", "x.zip"), 5, "ledger.jsonl"),
        (("export", "{none}", "--out", "x.zip", "--sample", "1", "--application", "A"), 2, "one of them"),
        (("verify", "{none}", "--anchor", "x"), 5, "ledger.jsonl"),
    ],
)
def test_a_mistake_ends_in_one_line_and_its_code(lendsafe, tmp_path, arguments, code, says):
    ended, out, err = lendsafe("record", *(one.format(none=tmp_path / "none") for one in arguments))
    assert (ended, out) == (code, "")
    assert says in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
