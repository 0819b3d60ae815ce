"""A text is read from a file or from the service, added to what is there, and what it changed is shown."""

import gzip
import json
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import ecfr_xml
import pytest

from lendsafe.errors import ConfigError, DataError, DiskError, LendSafeError, OfflineError
from lendsafe.law import Law, Row
from lendsafe.law import store as stores
from lendsafe.law.client import fetch, issue_of
from lendsafe.law.refresh import refresh
from lendsafe.law.rows import Snapshot, read_snapshot, write_snapshot

DAY = date(2026, 11, 2)
NEW = "A creditor shall not discourage by a statement of intent to discriminate."
SECTION = ecfr_xml.section(
    "1002-4",
    [
        Row("1002-4", "General rules.", ""),
        Row(
            "1002-4-a",
            "Discrimination.",
            "A creditor shall not discriminate against an applicant on a prohibited basis regarding any aspect of "
            "a credit transaction.",
        ),
        Row("1002-4-b", "Discouragement.", NEW),
    ],
).encode()
VERSIONS = json.dumps(
    {"content_versions": [{"issue_date": one} for one in ("2023-08-29", "2026-07-21", "2026-11-02")]}
).encode()


class Service(BaseHTTPRequestHandler):
    """The versioner as it answers."""

    behaviour = "well"

    def do_GET(self) -> None:
        packing = self.headers.get("Accept-Encoding", "")
        body = VERSIONS if "/versions/" in self.path else SECTION
        if self.behaviour == "nothing":
            self.send_error(404)
        elif self.behaviour == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "https://192.0.2.1/other")
            self.end_headers()
        elif "gzip" not in packing:
            self.send_error(406, "This endpoint requires response compression")
        else:
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        packed = gzip.compress(body)
        packed = {
            "cut": packed[:-12],
            "garbage": b"garbage",
            "no-json": gzip.compress(b"<html>", mtime=0),
        }.get(self.behaviour, packed)
        if self.behaviour == "deflate":
            packed = zlib.compress(body)
        self.send_response(200)
        self.send_header("Content-Encoding", "deflate" if self.behaviour == "deflate" else "gzip")
        self.send_header("Content-Length", str(len(packed)))
        self.end_headers()
        self.wfile.write(packed)

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Service.behaviour = "well"
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("asked", "issue"),
    [
        (None, date(2026, 11, 2)),
        (date(2026, 10, 1), date(2026, 7, 21)),
        (date(2023, 8, 29), date(2023, 8, 29)),
    ],
)
def test_a_day_without_an_issue_has_the_one_before(site, asked, issue):
    assert issue_of("1002", asked, site) == issue


@pytest.mark.parametrize("behaviour", ["well", "deflate"])
def test_the_answer_is_unpacked(site, behaviour):
    Service.behaviour = behaviour
    assert fetch("1002", DAY, site) == SECTION


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("nothing", "404"),
        ("elsewhere", "not followed"),
        ("cut", "cut off"),
        ("garbage", "header"),
        ("no-json", "not an answer"),
    ],
)
def test_whatever_goes_wrong_is_one_line(site, behaviour, says):
    Service.behaviour = behaviour
    with pytest.raises(OfflineError, match=says) as caught:
        issue_of("1002", None, site)
    assert "\n" not in str(caught.value)


def test_a_service_that_is_not_there_says_how_to_go_on():
    with pytest.raises(OfflineError, match="--from FILE"):
        issue_of("1002", None, "http://127.0.0.1:9")


@pytest.mark.parametrize("base", ["http://www.ecfr.gov", "ftp://127.0.0.1", "file:///etc"])
def test_nothing_is_asked_in_the_clear(base):
    with pytest.raises(ConfigError, match="only https"):
        issue_of("1002", None, base)


def test_no_issue_before_the_first(site):
    with pytest.raises(DataError, match="no issue of part 1002"):
        issue_of("1002", date(2020, 1, 1), site)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "section.xml"
    path.write_bytes(SECTION)
    return path


def test_a_refreshed_text_is_the_text_of_its_day(tmp_path, file):
    folder = tmp_path / "law"
    before = Law.load(folder).find("1002.4(b)", DAY)[0]
    done = refresh(folder, "1002", file=file, day=DAY)
    after = Law.load(folder)
    assert before.status == "not at hand"
    found = after.find("1002.4(b)", DAY)[0]
    assert (found.text, found.status, found.effective_from) == (NEW, "at hand", date(2026, 7, 21))
    assert after.find("1002.4(b)", date(2026, 7, 20))[0].text.startswith("A creditor shall not make any oral")
    # the paragraph that is the same is no change; those that the section no longer has are gone
    assert {one.after.label: one.what for one in done.changes} == {
        "1002-4-b": "known again",
        **{
            label: "removed"
            for label in ("1002-4-c", "1002-4-d", "1002-4-d-1", "1002-4-d-2", "1002-4-e")
            if after.paragraph(label, DAY).last_text
        },
    }
    assert after.sha256 != Law.load().sha256


def test_from_the_service(tmp_path, site):
    done = refresh(tmp_path, "1002", site=site)
    assert done.snapshot.day == DAY
    assert "part 1002, issue of 2026-11-02" in done.snapshot.source
    assert Law.load(tmp_path).find("1002.4(b)", DAY)[0].text == NEW


def test_the_same_text_again_changes_nothing(tmp_path, file):
    refresh(tmp_path, "1002", file=file, day=DAY)
    first = (tmp_path / "1002-4-2026-11-02.jsonl.gz").read_bytes()
    assert refresh(tmp_path, "1002", file=file, day=DAY).changes == []
    assert (tmp_path / "1002-4-2026-11-02.jsonl.gz").read_bytes() == first


def test_what_cannot_be_read_leaves_nothing(tmp_path):
    bad = tmp_path / "bad.xml"
    bad.write_bytes(b"<html></html>")
    for path in (bad, tmp_path / "absent.xml"):
        with pytest.raises((DataError, DiskError)):
            refresh(tmp_path / "law", "1002", file=path, day=DAY)
    assert not (tmp_path / "law").exists()


def test_two_that_refresh_at_once_lose_nothing(tmp_path, file):
    days = [date(2026, 10, day) for day in range(1, 9)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda day: refresh(tmp_path, "1002", file=file, day=day), days))
    assert {one.day for one in Law.load(tmp_path).snapshots} >= set(days)
    assert [one for one in tmp_path.iterdir() if ".tmp-" in one.name] == []


def test_a_full_disk_leaves_what_was_there(tmp_path, file, monkeypatch):
    refresh(tmp_path, "1002", file=file, day=DAY)
    before = (tmp_path / "1002-4-2026-11-02.jsonl.gz").read_bytes()

    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(DiskError, match="Free some space"):
        refresh(tmp_path, "1002", file=file, day=DAY)
    assert (tmp_path / "1002-4-2026-11-02.jsonl.gz").read_bytes() == before


@pytest.mark.parametrize(
    "damage", [b"", b"garbage", gzip.compress(b"{}", mtime=0), gzip.compress(b"[1]\n[2]", mtime=0), "cut"]
)
def test_a_damaged_snapshot_is_refused_in_one_line(tmp_path, damage):
    path = tmp_path / "1002.jsonl.gz"
    write_snapshot(Snapshot(day=DAY, covers=("1002",), source="x", rows=(Row("1002-1", "a", "b"),)), path)
    assert read_snapshot(path).rows == (Row("1002-1", "a", "b"),)
    path.write_bytes(path.read_bytes()[:-9] if damage == "cut" else damage)
    with pytest.raises(LendSafeError, match="1002.jsonl.gz") as caught:
        Law.load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["1026.4", "../../etc/x", "", "1002"])
def test_a_section_of_another_part_is_refused(tmp_path, name):
    file = tmp_path / "other.xml"
    file.write_bytes(SECTION.replace(b'N="1002.4"', f'N="{name}"'.encode()))
    with pytest.raises(DataError, match="expected one of 12 CFR part 1002 or 1022"):
        refresh(tmp_path / "law", "1002", file=file, day=DAY)
    assert not (tmp_path / "law").exists()


def test_a_refreshed_section_says_nothing_of_the_others(tmp_path, file):
    refresh(tmp_path, "1002", file=file, day=date(2026, 12, 24))
    law = Law.load(tmp_path)
    assert law.find("1002.4(b)", DAY)[0].known_to == date(2026, 12, 24)
    assert law.find("1002.9(b)", DAY)[0].known_to == date(2026, 11, 24)


def test_a_text_that_was_read_again_is_in_no_doubt(tmp_path):
    """A rule changed the section around it; read after the rule, it is known to stand."""
    before = Law.load().find("1002.6(b)(5)", DAY)[0]
    rows = [
        row
        for one in Law.load().snapshots
        for row in one.rows
        if row.label.startswith("1002-6") and "Interp" not in row.label
    ]
    file = tmp_path / "six.xml"
    file.write_text(ecfr_xml.section("1002-6", rows))
    refresh(tmp_path, "1002", file=file, day=DAY)
    after = Law.load(tmp_path).find("1002.6(b)(5)", DAY)[0]
    assert "91 FR 21620" in before.note
    assert (after.note, after.text) == ("", before.text)
    assert after.effective_from == date(2022, 1, 1)


def test_differences_are_marked():
    assert stores.marked("a b c", "a x c d") == "a [-b-] {+x+} c {+d+}"
    law = Law.load()
    labels = [one for one in law.order if one.startswith("1002-9")]
    found = stores.changes(law, labels, date(2023, 4, 18), date(2023, 4, 19))
    assert [(one.after.label, one.what) for one in found] == [("1002-9-b-1", "changed")]
    assert stores.changes(law, labels, date(2026, 7, 20), date(2026, 7, 21)) == []
