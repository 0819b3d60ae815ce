"""Forty ways to forge a record, made by hand: with an anchor that was kept elsewhere, each is found."""

import hashlib
import json
import os
import shutil
from datetime import UTC, date, datetime, timedelta

import pytest
from cases import consumer, grounds, letter

from lendsafe.errors import RefusedError
from lendsafe.notice import Dates, anchor, expire, record, verify

ATTACKS = {}
FORGED = b"We have approved your request."


def attack(function):
    ATTACKS[function.__name__] = function
    return function


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Five records, of which the first was destroyed in time; and the anchor."""
    folder = tmp_path_factory.mktemp("kept") / "record"
    for number, day in enumerate((date(2024, 4, 1), *(date(2026, 11, n) for n in (20, 21, 22, 23)))):
        one = letter(
            grounds(application_id=f"A-{number}", consumers=(consumer(scores=()),), score_used=False),
            dates=Dates(received=day - timedelta(20), notice=day),
            narrative="",
        )
        moment = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        record(folder, one, {"application": {"n": number}}, {"txt": f"letter {number}"}, moment)
    expire(folder, date(2026, 11, 24), now=datetime(2026, 11, 24, 12, tzinfo=UTC))
    return folder, anchor(folder)


def lines(folder):
    return (folder / "ledger.jsonl").read_bytes().splitlines()


def put_lines(folder, new):
    (folder / "ledger.jsonl").write_bytes(b"".join(one + b"\n" for one in new))


def entry(folder, number):
    return json.loads(lines(folder)[number])


def put_entry(folder, number, changes, chained=True):
    """A line changed, and every line after it chained anew, as one who knows the format would."""
    new = lines(folder)
    new[number] = json.dumps(json.loads(new[number]) | changes, sort_keys=True).encode()
    put_lines(folder, chain(new) if chained else new)


def chain(new):
    previous, found = "0" * 64, []
    for one in new:
        line = json.dumps(
            json.loads(one) | {"previous": previous}, sort_keys=True, ensure_ascii=False
        ).encode()
        previous = hashlib.sha256(line).hexdigest()
        found.append(line)
    return found


def place(folder, number):
    return folder / "records" / entry(folder, number)["id"]


def write(path, content):
    if path.exists():
        path.chmod(0o600)
    path.write_bytes(content)


def rehashed(folder, number, file, content):
    """A record with another file, its hashes, id and chain made anew: the most that a forger can do."""
    old = entry(folder, number)
    files = old["files"] | {file: hashlib.sha256(content).hexdigest()}
    name = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:32]
    write(folder / "records" / old["id"] / file, content)
    (folder / "records" / old["id"]).rename(folder / "records" / name)
    put_entry(folder, number, {"files": files, "id": name})


# ---------------------------------------------------------------- records


@attack
def a_letters_byte_is_flipped(folder):
    path = place(folder, 1) / "letter.txt"
    write(path, path.read_bytes()[:-1] + b"X")


@attack
def a_letter_is_replaced(folder):
    write(place(folder, 2) / "letter.txt", FORGED)


@attack
def a_letter_is_emptied(folder):
    write(place(folder, 2) / "letter.txt", b"")


@attack
def a_letter_is_removed(folder):
    (place(folder, 2) / "letter.txt").unlink()


@attack
def a_file_is_added(folder):
    (place(folder, 2) / "note.txt").write_text("x")


@attack
def a_file_is_renamed(folder):
    (place(folder, 2) / "letter.txt").rename(place(folder, 2) / "letter.md")


@attack
def a_hidden_file_is_added(folder):
    (place(folder, 2) / ".note").write_text("x")


@attack
def two_files_change_places(folder):
    one, two = place(folder, 1) / "letter.txt", place(folder, 2) / "letter.txt"
    first, second = one.read_bytes(), two.read_bytes()
    write(one, second)
    write(two, first)


@attack
def a_record_is_removed(folder):
    shutil.rmtree(place(folder, 2))


@attack
def a_record_is_emptied(folder):
    for one in place(folder, 2).iterdir():
        one.unlink()


@attack
def a_record_is_copied_under_another_id(folder):
    shutil.copytree(place(folder, 2), folder / "records" / ("f" * 32))


@attack
def two_records_change_names(folder):
    one, two = place(folder, 1), place(folder, 2)
    one.rename(folder / "records" / "x")
    two.rename(one)
    (folder / "records" / "x").rename(two)


@attack
def a_destroyed_record_is_put_back(folder):
    (folder / "records" / entry(folder, 0)["id"]).mkdir()


@attack
def a_folder_is_put_where_a_letter_was(folder):
    (place(folder, 2) / "letter.txt").unlink()
    (place(folder, 2) / "letter.txt").mkdir()


# ---------------------------------------------------------------- links


@attack
def a_letter_is_a_link_to_the_same_bytes(folder):
    path = place(folder, 2) / "letter.txt"
    (folder.parent / "elsewhere.txt").write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(folder.parent / "elsewhere.txt")


@attack
def a_record_is_a_link(folder):
    old = place(folder, 2)
    old.rename(folder.parent / "elsewhere")
    old.symlink_to(folder.parent / "elsewhere")


@attack
def the_records_are_behind_a_link(folder):
    (folder / "records").rename(folder.parent / "elsewhere")
    (folder / "records").symlink_to(folder.parent / "elsewhere")


@attack
def the_ledger_is_a_link(folder):
    (folder / "ledger.jsonl").rename(folder.parent / "elsewhere")
    (folder / "ledger.jsonl").symlink_to(folder.parent / "elsewhere")


@attack
def the_folder_is_behind_a_link(folder):
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")


@attack
def a_letter_is_a_pipe(folder):
    (place(folder, 2) / "letter.txt").unlink()
    os.mkfifo(place(folder, 2) / "letter.txt")


# ---------------------------------------------------------------- lines


@attack
def the_last_record_is_removed_with_its_line(folder):
    put_lines(folder, lines(folder)[:-1])


@attack
def the_last_two_lines_are_removed(folder):
    shutil.rmtree(place(folder, 4))
    put_lines(folder, lines(folder)[:-2])


@attack
def a_line_within_is_removed(folder):
    shutil.rmtree(place(folder, 2))
    put_lines(folder, lines(folder)[:2] + lines(folder)[3:])


@attack
def a_line_within_is_removed_and_the_chain_made_anew(folder):
    shutil.rmtree(place(folder, 2))
    put_lines(folder, chain(lines(folder)[:2] + lines(folder)[3:]))


@attack
def the_first_line_is_removed_and_the_chain_made_anew(folder):
    put_lines(folder, chain(lines(folder)[1:5]))


@attack
def two_lines_change_places(folder):
    new = lines(folder)
    put_lines(folder, [new[0], new[2], new[1], *new[3:]])


@attack
def two_lines_change_places_and_the_chain_is_made_anew(folder):
    new = lines(folder)
    put_lines(folder, chain([new[0], new[2], new[1], *new[3:]]))


@attack
def a_line_is_replayed(folder):
    put_lines(folder, [*lines(folder), lines(folder)[2]])


@attack
def a_line_is_replayed_and_chained(folder):
    put_lines(folder, chain([*lines(folder), lines(folder)[2]]))


@attack
def a_record_is_entered_a_second_time_with_a_time_of_its_own(folder):
    again = entry(folder, 4) | {"written": "2026-11-25T12:00:00+00:00", "backdated": True}
    put_lines(folder, chain([*lines(folder), json.dumps(again).encode()]))


@attack
def a_line_without_files_is_added_and_chained(folder):
    last = entry(folder, 4) | {"files": {}, "id": hashlib.sha256(b"{}").hexdigest()[:32]}
    put_lines(folder, chain([*lines(folder), json.dumps(last).encode()]))


@attack
def the_tail_is_edited(folder):
    new = lines(folder)
    new[-1] = new[-1].replace(b"2026-11-24T12", b"2026-11-24T13")
    put_lines(folder, new)


@attack
def a_byte_is_added_at_the_end(folder):
    with (folder / "ledger.jsonl").open("ab") as file:
        file.write(b"{")


@attack
def the_last_line_is_cut_off(folder):
    (folder / "ledger.jsonl").write_bytes((folder / "ledger.jsonl").read_bytes()[:-7])


@attack
def the_ledger_is_emptied(folder):
    (folder / "ledger.jsonl").write_bytes(b"")


@attack
def the_ledger_is_removed(folder):
    (folder / "ledger.jsonl").unlink()


@attack
def everything_is_emptied(folder):
    (folder / "ledger.jsonl").write_bytes(b"")
    shutil.rmtree(folder / "records")
    (folder / "records").mkdir()


# ---------------------------------------------------------------- the chain made anew


@attack
def a_letter_is_replaced_and_everything_made_anew(folder):
    rehashed(folder, 2, "letter.txt", FORGED)


@attack
def the_last_letter_is_replaced_and_everything_made_anew(folder):
    rehashed(folder, 4, "letter.txt", FORGED)


@attack
def a_late_letter_is_dated_in_time(folder):
    put_entry(folder, 3, {"notified": "2026-11-01", "backdated": True})


@attack
def a_letter_is_said_to_have_been_written_earlier(folder):
    put_entry(folder, 3, {"written": "2026-11-21T12:00:00+00:00"})


@attack
def a_record_is_kept_for_less_time(folder):
    put_entry(folder, 3, {"retain_until": "2026-11-01"})


@attack
def a_record_is_destroyed_before_its_time(folder):
    doomed = entry(folder, 3)
    shutil.rmtree(place(folder, 3))
    stone = {"expired": doomed["id"], "written": "2026-11-24T12:00:00+00:00", "previous": ""}
    put_lines(folder, chain([*lines(folder), json.dumps(stone).encode()]))


@attack
def a_tombstone_is_removed(folder):
    put_lines(folder, lines(folder)[:-1])


@attack
def a_forged_draft_waits_to_be_installed(folder):
    shutil.copytree(place(folder, 2), folder / ".drafts" / entry(folder, 2)["id"])
    write(folder / ".drafts" / entry(folder, 2)["id"] / "letter.txt", FORGED)


@attack
def a_line_points_out_of_the_folder(folder):
    put_entry(folder, 2, {"id": "../../.."})


@attack
def a_line_is_of_next_year(folder):
    last = entry(folder, 4)
    stone = {"expired": last["id"], "written": "2999-01-01T00:00:00+00:00", "previous": ""}
    shutil.rmtree(place(folder, 4))
    put_lines(folder, chain([*lines(folder), json.dumps(stone).encode()]))


@attack
def a_line_is_no_object(folder):
    put_lines(folder, [*lines(folder), b"[]"])


def test_there_are_forty_of_them():
    assert len(ATTACKS) >= 40


@pytest.mark.parametrize("name", ATTACKS)
def test_a_forgery_is_found_with_an_anchor_and_nothing_is_written(kept, tmp_path, name):
    folder, line = tmp_path / "record", kept[1]
    shutil.copytree(kept[0], folder)
    assert verify(folder, line).problems == ()
    ATTACKS[name](folder)

    def state():
        return sorted((str(one), one.lstat().st_mtime_ns, one.lstat().st_size) for one in tmp_path.rglob("*"))

    before = state()
    found = verify(folder, line)
    assert found.problems
    assert all("\n" not in one for one in found.problems)
    assert state() == before


@pytest.mark.parametrize("line", ["", "x", "lendsafe-anchor x y", "lendsafe-anchor 1 abc"])
def test_what_is_no_anchor_is_said_to_be_none(kept, line):
    assert "the anchor is none" in verify(kept[0], line).problems[0]


def test_an_anchor_still_holds_when_more_is_added(kept, tmp_path):
    folder = tmp_path / "record"
    shutil.copytree(kept[0], folder)
    record(folder, letter(), {}, {"txt": "more"}, datetime(2026, 11, 25, tzinfo=UTC))
    assert verify(folder, kept[1]).problems == ()
    assert anchor(folder).split()[1] == "7"


def test_what_is_not_whole_is_not_vouched_for(kept, tmp_path):
    folder = tmp_path / "record"
    shutil.copytree(kept[0], folder)
    a_letter_is_replaced(folder)
    with pytest.raises(RefusedError, match="not vouched for"):
        anchor(folder)
