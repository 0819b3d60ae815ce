"""The record for the file: complete, append-only, and any changed byte is found."""

import errno
import json
import os
import shutil
import stat
import threading
import time
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cases import CONSENT, DATES, consumer, every_kind, grounds, letter
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.errors import DiskError, RefusedError
from lendsafe.notice import Dates, expire, find, ledger, mend, record, render_text, verify
from lendsafe.notice.characters import masked

KINDS = every_kind()


NOW = datetime(2026, 11, 24, 15, 30, tzinfo=timezone(timedelta(hours=-5)))


def put(folder, kind="denial with score", application=None, now=NOW):
    one = KINDS[kind]
    papers = {"application": application or {"income": 41_000}, "assessment": {"decision": "declined"}}
    return record(folder, one, papers, {"txt": render_text(one), "pdf": b"%PDF-"}, now)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    for kind in ("denial with score", "counteroffer", "incomplete"):
        put(folder, kind)
    return folder


def test_what_was_recorded_verifies(kept):
    found = verify(kept)
    assert (found.records, found.problems) == (3, ())


def test_a_record_holds_everything_with_its_retention(tmp_path):
    name = put(tmp_path)
    files = {one.name for one in (tmp_path / "records" / name).iterdir()}
    assert files == {
        "application.json",
        "assessment.json",
        "checks.json",
        "letter.json",
        "letter.pdf",
        "letter.txt",
        "narrative.txt",
    }
    entry = json.loads((tmp_path / "ledger.jsonl").read_text())
    assert entry["notified"] == "2026-11-24"
    assert entry["written"] == "2026-11-24T15:30:00-05:00"
    assert (entry["backdated"], entry["late"], entry["late_when_written"]) == (False, False, False)
    assert entry["retain_until"] == "2028-12-24"
    assert "1002.12(b)(1)" in entry["retention"]


def test_the_same_letter_is_kept_once(tmp_path):
    assert put(tmp_path) == put(tmp_path)
    assert verify(tmp_path).records == 1


def test_the_ledger_itself_names_nobody(tmp_path):
    put(tmp_path)
    line = (tmp_path / "ledger.jsonl").read_text()
    assert not any(word in line for word in ("Maria", "Elm", "Columbus", "LS-000123"))
    assert verify(tmp_path).problems == ()


def test_records_are_readable_by_their_owner_alone(tmp_path):
    name = put(tmp_path / "file")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "file" / "ledger.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "file" / "records" / name / "letter.txt").stat().st_mode) == 0o400


@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_a_flipped_bit_anywhere_is_found(kept, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("copy") / "x"
    shutil.copytree(kept, folder)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(paths))
    content = bytearray(path.read_bytes())
    # the last line's own bytes are vouched for by its hash, which the caller keeps
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.chmod(0o600)
    path.write_bytes(content)
    found, right = verify(folder), verify(kept)
    assert found.problems or found.last_sha256 != right.last_sha256
    if path.name != "ledger.jsonl":
        assert any(path.name in problem for problem in found.problems)


def test_a_record_that_is_being_added_is_waited_for(tmp_path, monkeypatch):
    put(tmp_path)
    begun, real = threading.Event(), ledger._append

    def slowly(*arguments):
        begun.set()
        time.sleep(0.2)
        real(*arguments)

    monkeypatch.setattr(ledger, "_append", slowly)
    writer = threading.Thread(target=put, args=(tmp_path, "counteroffer"))
    writer.start()
    begun.wait(5)
    assert (verify(tmp_path).records, verify(tmp_path).problems) == (2, ())
    writer.join()


@pytest.mark.parametrize("change", ["remove", "add", "rename", "drop line", "swap lines", "cut", "orphan"])
def test_what_was_moved_added_or_removed_is_found(kept, tmp_path, change):
    folder = tmp_path / "x"
    shutil.copytree(kept, folder)
    first = next(iter(sorted((folder / "records").iterdir())))
    ledger = folder / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    if change == "remove":
        (first / "letter.txt").unlink()
    elif change == "add":
        (first / "more.txt").write_text("x")
    elif change == "rename":
        (first / "letter.txt").rename(first / "letter.md")
    elif change == "drop line":
        ledger.write_text("".join(lines[:1] + lines[2:]))
    elif change == "swap lines":
        ledger.write_text("".join([lines[1], lines[0], lines[2]]))
    elif change == "cut":
        ledger.write_text("".join(lines)[:-10])
    else:
        ledger.write_text("".join(lines[:-1]))
    assert verify(folder).problems


def test_half_a_line_of_which_no_draft_is_there_is_named_and_goes(tmp_path):
    put(tmp_path)
    with (tmp_path / "ledger.jsonl").open("a") as file:
        file.write('{"id": "half a li')
    (problem,) = verify(tmp_path).problems
    assert "the last line was cut off after 17 bytes, and no draft of it is there" in problem
    put(tmp_path, "counteroffer")
    assert (verify(tmp_path).records, verify(tmp_path).problems) == (2, ())


def cut_short(monkeypatch, count):
    """A disk that takes a part of the ledger's line and is then full for good."""
    real, left = os.write, [count]

    def write(descriptor, data):
        if not str(Path(f"/proc/self/fd/{descriptor}").readlink()).endswith("ledger.jsonl"):
            return real(descriptor, data)
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = data[: left[0]]
        left[0] -= len(part)
        return real(descriptor, part)

    monkeypatch.setattr(ledger.os, "write", write)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="names of open files are read from /proc")
@pytest.mark.parametrize("count", [0, 1, 57, 300])
def test_a_line_cut_short_by_a_full_disk_is_an_error_and_leaves_no_half(tmp_path, monkeypatch, count):
    put(tmp_path)
    before = (tmp_path / "ledger.jsonl").read_bytes()
    cut_short(monkeypatch, count)
    with pytest.raises(DiskError, match="No space left"):
        put(tmp_path, "counteroffer")
    monkeypatch.undo()
    assert (tmp_path / "ledger.jsonl").read_bytes() == before
    put(tmp_path, "counteroffer")
    assert (verify(tmp_path).records, verify(tmp_path).problems) == (2, ())


@pytest.mark.parametrize("count", [1, 57, 300])
def test_half_a_line_whose_draft_is_whole_is_named_and_mended_from_it(tmp_path, monkeypatch, count):
    put(tmp_path)

    def dies(path, line):
        with path.open("ab") as file:
            file.write(line[:count])
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger, "_append", dies)
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path, "counteroffer")
    monkeypatch.undo()
    before = sorted((one, one.read_bytes()) for one in tmp_path.rglob("*") if one.is_file())
    problems = verify(tmp_path).problems
    assert f"cut off after {count} bytes; the draft" in problems[0]
    assert "--mend" in problems[0]
    assert before == sorted((one, one.read_bytes()) for one in tmp_path.rglob("*") if one.is_file())
    (told,) = mend(tmp_path)
    assert "its line was cut off, and is whole again" in told
    assert (verify(tmp_path).records, verify(tmp_path).problems) == (2, ())
    assert mend(tmp_path) == ()


def test_a_draft_that_was_altered_is_not_installed(tmp_path, monkeypatch):
    put(tmp_path)

    def dies(path, line):
        with path.open("ab") as file:
            file.write(line[:57])
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger, "_append", dies)
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path, "counteroffer")
    monkeypatch.undo()
    (draft,) = (one for one in (tmp_path / ".drafts").iterdir() if one.is_dir())
    (draft / "letter.txt").chmod(0o600)
    (draft / "letter.txt").write_text("We have approved your request.")
    mend(tmp_path)
    assert (verify(tmp_path).records, verify(tmp_path).problems) == (1, ())


@pytest.mark.parametrize("step", ["_draft", "_append", "_put_in_place"])
@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_was_killed_at_any_step_leaves_a_ledger_that_verifies(tmp_path, monkeypatch, step, after):
    put(tmp_path)
    real = getattr(ledger, step)

    def killed(*arguments):
        if after:
            real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger, step, killed)
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path, "counteroffer")
    monkeypatch.undo()
    begun = step == "_put_in_place" or (step == "_append" and after)
    done = (step, after) in (("_put_in_place", True), ("_draft", False))
    assert (
        bool(verify(tmp_path).problems) is not done
    )  # it only reads; what was begun is ended by whoever writes
    mend(tmp_path)
    assert (verify(tmp_path).records, verify(tmp_path).problems) == (2 if begun else 1, ())
    put(tmp_path, "incomplete")  # another letter, not the same again
    assert (verify(tmp_path).records, verify(tmp_path).problems) == (3 if begun else 2, ())
    put(tmp_path, "counteroffer")
    assert verify(tmp_path).records == 3


def test_a_ledger_longer_than_what_is_read_of_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("lendsafe.notice.ledger._TAIL", 100)
    for kind in ("denial with score", "counteroffer", "incomplete"):
        put(tmp_path, kind)
    with (tmp_path / "ledger.jsonl").open("a") as file:
        file.write("x" * 250)  # half a line, longer than one read
    put(tmp_path, "approval with score")
    assert put(tmp_path, "counteroffer")
    assert (verify(tmp_path).records, verify(tmp_path).problems) == (4, ())


def test_a_record_written_without_its_line_is_written_again(tmp_path):
    name = put(tmp_path)
    (tmp_path / "ledger.jsonl").write_text("")
    assert verify(tmp_path).problems == (f"records/{name}: not in the ledger",)
    assert put(tmp_path) == name
    assert verify(tmp_path).problems == ()


def test_nothing_is_written_outside_the_folder(tmp_path):
    with pytest.raises(RefusedError, match="ending"):
        record(tmp_path / "in", letter(), {}, {"../../evil": "x"})
    with pytest.raises(RefusedError, match="paper"):
        record(tmp_path / "in", letter(), {"../../evil": {}}, {})
    record(tmp_path / "in", letter(), {"application": {"id": "../../evil"}}, {})
    assert [one.name for one in tmp_path.iterdir()] == ["in"]


def test_a_line_that_points_elsewhere_reads_nothing_there(tmp_path):
    put(tmp_path)
    ledger = tmp_path / "ledger.jsonl"
    entry = json.loads(ledger.read_text())
    ledger.write_text(json.dumps(entry | {"id": "../../.."}) + "\n")
    assert any("does not match" in problem for problem in verify(tmp_path).problems)


def test_a_folder_that_is_not_a_ledger_is_an_error_of_one_line(tmp_path):
    with pytest.raises(DiskError, match="ledger.jsonl"):
        verify(tmp_path)


@pytest.mark.parametrize(
    ("written", "backdated", "late"),
    [
        (
            datetime(2026, 11, 24, 23, 59, tzinfo=timezone(timedelta(hours=-8))),
            False,
            False,
        ),  # UTC is a day ahead
        (datetime(2026, 11, 25, 0, 1, tzinfo=timezone(timedelta(hours=9))), True, False),
        (datetime(2026, 12, 2, 12, tzinfo=UTC), True, False),
        (datetime(2026, 12, 3, 12, tzinfo=UTC), True, True),  # dated in time, written on day 31
    ],
)
def test_a_letter_dated_before_it_was_written_is_marked_and_late_by_the_clock(
    tmp_path, written, backdated, late
):
    put(tmp_path, now=written)
    entry = json.loads((tmp_path / "ledger.jsonl").read_text())
    assert (entry["backdated"], entry["late"], entry["late_when_written"]) == (backdated, False, late)


def test_a_clock_that_was_put_back_writes_no_line_before_the_last(tmp_path):
    put(tmp_path)
    put(tmp_path, "counteroffer", now=NOW - timedelta(hours=1))
    times = [json.loads(line)["written"] for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert times == ["2026-11-24T15:30:00-05:00"] * 2
    assert verify(tmp_path).problems == ()


def test_the_record_holds_every_rule_with_what_it_found(tmp_path):
    name = put(tmp_path)
    checks = json.loads((tmp_path / "records" / name / "checks.json").read_text())
    assert any(one["rule"] == "B4" and one["applies"] for one in checks["checklist"])
    assert all(one["findings"] == [] for one in checks["checklist"])
    assert checks["templates"]["ecoa_notice"]["citation"] == "12 CFR 1002.9(b)(1)"


def test_evidence_of_consent_is_kept_with_an_electronic_letter(tmp_path):
    one = KINDS["electronic"]
    name = record(tmp_path, one, {}, {"txt": render_text(one)}, NOW)
    kept_letter = json.loads((tmp_path / "records" / name / "letter.json").read_text())
    assert kept_letter["delivery"] == "electronic"
    assert kept_letter["consent"]["statement"] == CONSENT.statement
    assert kept_letter["consent"]["given"] == "2026-10-01"


# ---------------------------------------------------------------- what is kept out


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"ssn": "123-45-6789"}, {"ssn": "*******6789"}),
        ({"ssn": 123456789}, {"ssn": "*****6789"}),
        ({"account_number": "0012345678"}, {"account_number": "******5678"}),
        ({"notes": "my number is 123-45-6789."}, {"notes": "my number is *******6789."}),
        ({"notes": "card 4111 1111 1111 1111"}, {"notes": "card ***************1111"}),
        ({"a": [{"iban": "DE89370400440532013000"}]}, {"a": [{"iban": "******************3000"}]}),
        ({"notes": "DE89 3704 0044 0532 0130 00"}, {"notes": "***********************0 00"}),
        (
            {"loan_amount": 123456789, "phone": "(614) 221-4000"},
            {"loan_amount": 123456789, "phone": "(614) 221-4000"},
        ),
        ({"sha256": "4" * 64}, {"sha256": "4" * 64}),
        ({"income_verified": True, "none": None}, {"income_verified": True, "none": None}),
    ],
)
def test_account_and_social_security_numbers_are_masked(value, shown):
    assert masked(value) == shown


def test_no_number_that_is_masked_reaches_a_record(tmp_path):
    put(
        tmp_path,
        application={"ssn": "123-45-6789", "account_number": "4111111111111111", "notes": "123-45-6789"},
    )
    content = b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
    assert b"123-45" not in content
    assert b"411111111111" not in content
    assert b"6789" in content


# ---------------------------------------------------------------- one person's file, and its end


def of(number, notice=DATES.notice):
    dates = Dates(received=notice - timedelta(20), notice=notice)
    person = consumer(scores=())
    return letter(
        grounds(application_id=f"A-{number}", consumers=(person,), score_used=False),
        dates=dates,
        narrative="",
    )


@pytest.fixture
def years(tmp_path):
    for number, day in ((1, date(2024, 4, 1)), (2, date(2024, 4, 2)), (3, date(2026, 3, 2))):
        moment = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        record(tmp_path, of(number, day), {}, {"txt": "x"}, moment)
        record(tmp_path, of(number, day), {"assessment": {"again": True}}, {"txt": "x"}, moment)
    return tmp_path


def test_a_persons_file_is_found_by_the_application(years):
    assert [one["kind"] for one in find(years, "A-2")] == ["denial", "denial"]
    assert find(years, "A-2")[0]["retain_until"] == "2026-05-02"
    assert find(years, "A-9") == []


@pytest.mark.parametrize("line", ["5", "[]", "{}", '{"id": "../.."}', "no"])
def test_a_ledger_with_a_line_that_is_none_is_searched_by_nobody(tmp_path, line):
    with pytest.raises(DiskError):
        find(tmp_path, "A-1")
    put(tmp_path)
    with (tmp_path / "ledger.jsonl").open("a") as file:
        file.write(line + "\n")
    for reads in (
        lambda: find(tmp_path, "A-1"),
        lambda: mend(tmp_path),
        lambda: expire(tmp_path, date(2026, 1, 1)),
    ):
        with pytest.raises(RefusedError, match="verify it"):
            reads()
    before = len(verify(tmp_path).problems)
    assert before
    put(tmp_path, "counteroffer")  # letters are put on record all the same, and chained to what is there
    assert len(verify(tmp_path).problems) == before


def test_a_damaged_letter_stops_no_search(years):
    (first,) = (one for one in find(years, "A-1")[:1])
    path = Path(first["folder"]) / "letter.json"
    path.chmod(0o600)
    path.write_text("[")
    assert len(find(years, "A-1")) == 1


def test_what_is_past_its_day_is_destroyed_with_a_line_that_says_so(years):
    before = {one["id"] for number in "12" for one in find(years, f"A-{number}")}
    done = expire(years, date(2026, 11, 24), keep=("A-2",), now=NOW)
    assert set(done.destroyed) | set(done.kept) == before
    assert len(done.destroyed) == len(done.kept) == 2
    assert find(years, "A-1") == []
    assert len(find(years, "A-2")) == len(find(years, "A-3")) == 2
    assert not any((years / "records" / name).exists() for name in done.destroyed)
    assert (verify(years).records, verify(years).problems) == (4, ())
    assert expire(years, date(2026, 11, 24), keep=("A-2",), now=NOW).destroyed == ()


def test_nothing_is_destroyed_before_its_day_or_in_a_record_that_is_not_whole(years):
    assert expire(years, date(2026, 5, 1), now=NOW).destroyed == ()
    with pytest.raises(RefusedError, match="still to come"):
        expire(years, date(2026, 11, 25), now=NOW)
    (next(iter((years / "records").iterdir())) / "letter.txt").unlink()
    with pytest.raises(RefusedError, match="not whole"):
        expire(years, date(2026, 11, 24), now=NOW)


def test_a_destruction_that_was_killed_is_ended(years, monkeypatch):
    monkeypatch.setattr(ledger, "_destroy", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        expire(years, date(2026, 11, 24), now=NOW)
    monkeypatch.undo()
    assert verify(years).problems
    assert "destroyed, as its line says" in mend(years)[0]
    assert verify(years).problems == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error_of_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DiskError):
        put(tmp_path / "x")
