"""The record for the file: complete, append-only, and any changed byte is found."""

import json
import os
import shutil
import stat

import pytest
from cases import every_kind, letter
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.errors import DiskError, RefusedError
from lendsafe.notice import ledger, record, render_text, verify

KINDS = every_kind()


def put(folder, kind="denial with score", application=None):
    one = KINDS[kind]
    return record(folder, one, application or {"income": 41_000}, {"txt": render_text(one), "pdf": b"%PDF-"})


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
        "letter.json",
        "letter.pdf",
        "letter.txt",
        "narrative.txt",
    }
    entry = json.loads((tmp_path / "ledger.jsonl").read_text())
    assert entry["notified"] == "2026-11-24"
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


def test_a_run_that_was_killed_while_writing_loses_nothing_and_goes_on(tmp_path):
    put(tmp_path)
    with (tmp_path / "ledger.jsonl").open("a") as file:
        file.write('{"id": "half a li')
    orphan = tmp_path / "records" / ".draft-left"
    orphan.mkdir()
    assert verify(tmp_path).problems
    orphan.rmdir()
    put(tmp_path, "counteroffer")
    assert verify(tmp_path) == verify(tmp_path)
    assert (verify(tmp_path).records, verify(tmp_path).problems) == (2, ())


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
    record(tmp_path / "in", letter(), {"id": "../../evil"}, {})
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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error_of_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DiskError):
        put(tmp_path / "x")
