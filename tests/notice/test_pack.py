"""An evidence pack: the same bytes each time, and checked by a script that needs Python alone."""

import json
import subprocess
import sys
import zipfile
from datetime import UTC, date, datetime, timedelta

import pytest
from cases import consumer, grounds, letter

from lendsafe.errors import DataError, RefusedError
from lendsafe.notice import Dates, anchor, export, record

MOMENT = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept") / "record"
    for number in range(6):
        day = date(2026, 11, 24) - timedelta(number)
        one = letter(
            grounds(application_id=f"A-{number}", consumers=(consumer(scores=()),), score_used=False),
            dates=Dates(received=day, notice=date(2026, 11, 24)),
            narrative="",
        )
        papers = {"application": {"n": number}, "assessment": {}, "provenance": {"model": None}}
        record(folder, one, papers, {"txt": f"letter {number}"}, MOMENT)
    return folder


def unpacked(path, folder):
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


def checked(folder, *arguments):
    """The script, by an interpreter that sees nothing but the standard library."""
    command = [sys.executable, "-I", "-S", str(folder / "verify.py"), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.stderr == ""
    return ran.returncode, ran.stdout


def test_the_same_record_gives_the_same_bytes(kept, tmp_path):
    made = [export(kept, tmp_path / f"{n}.zip", sample=3) for n in (1, 2)]
    assert made[0].sha256 == made[1].sha256
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    assert (made[0].records, made[0].of) == (3, 6)
    assert export(kept, tmp_path / "3.zip", sample=3, seed=1).sha256 != made[0].sha256


def test_a_pack_holds_letters_papers_checks_hashes_and_software(kept, tmp_path):
    export(kept, tmp_path / "pack.zip", sample=2)
    folder = unpacked(tmp_path / "pack.zip", tmp_path / "pack")
    assert {one.name for one in folder.iterdir()} == {
        *("README.txt", "ledger.jsonl", "manifest.json", "records", "sbom.json", "verify.py"),
    }
    for place in (folder / "records").iterdir():
        assert {"application.json", "assessment.json", "checks.json", "letter.json", "letter.txt"} <= {
            one.name for one in place.iterdir()
        }
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["anchor"] == anchor(kept)
    assert len(manifest["templates_sha256"]) == 64
    parts = json.loads((folder / "sbom.json").read_text())["components"]
    assert any(one["name"] == "typst" and one["version"] for one in parts)


def test_the_script_passes_what_was_packed(kept, tmp_path):
    export(kept, tmp_path / "pack.zip", sample=2)
    folder = unpacked(tmp_path / "pack.zip", tmp_path / "pack")
    assert checked(folder) == (
        0, "Every byte is as it was packed, and every line of the ledger follows the one before.\n",
    )  # fmt: skip
    assert checked(folder, "--anchor", anchor(kept))[0] == 0
    assert checked(folder, "--anchor", anchor(kept).replace(" 6 ", " 7 "))[0] == 1


def first(folder, name):
    return next(iter(sorted((folder / "records").iterdir()))) / name


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("letter.txt", lambda folder: first(folder, "letter.txt").write_text("x")),
        ("letter.txt", lambda folder: first(folder, "letter.txt").unlink()),
        ("more.txt", lambda folder: first(folder, "more.txt").write_text("x")),
        ("sbom.json", lambda folder: (folder / "sbom.json").write_text("{}")),
        ("ledger.jsonl", lambda folder: (folder / "ledger.jsonl").write_text("")),
        ("manifest.json", lambda folder: (folder / "manifest.json").write_text("{}")),
    ],
)
def test_the_script_names_what_was_changed(kept, tmp_path, name, change):
    export(kept, tmp_path / "pack.zip", sample=2)
    folder = unpacked(tmp_path / "pack.zip", tmp_path / "pack")
    change(folder)
    code, told = checked(folder)
    assert code == 1
    assert name in told


def test_a_whole_record_and_one_persons_file_are_packed_too(kept, tmp_path):
    assert export(kept, tmp_path / "all.zip").records == 6
    assert export(kept, tmp_path / "more.zip", sample=99).records == 6
    one = export(kept, tmp_path / "one.zip", application_id="A-3")
    assert one.records == 1
    folder = unpacked(one.out, tmp_path / "one")
    assert json.loads(first(folder, "letter.json").read_text())["application_id"] == "A-3"
    assert checked(folder)[0] == 0
    with pytest.raises(DataError, match="of that application"):
        export(kept, tmp_path / "none.zip", application_id="A-9")


def test_what_is_not_whole_is_not_handed_out(kept, tmp_path):
    import shutil

    shutil.copytree(kept, tmp_path / "record")
    first(tmp_path / "record", "letter.txt").unlink()
    with pytest.raises(RefusedError, match="not handed out"):
        export(tmp_path / "record", tmp_path / "pack.zip")
    assert not (tmp_path / "pack.zip").exists()
