"""A file is the old one or the new one, never a mixture; a failing disk is named and leaves nothing behind."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe import files
from lendsafe.errors import DiskError, ExistsError

CALLS = ["write_bytes", "replace"]


@settings(max_examples=30, deadline=None)
@given(content=st.binary(max_size=200) | st.text(st.characters(exclude_categories=("Cs",)), max_size=50))
def test_what_is_written_is_read(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("files") / "file"
    files.write_atomically(path, "before")
    files.write_atomically(path, content)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert [one.name for one in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write_bytes", "replace", "sync"])
def test_a_failing_disk_leaves_the_old_content_and_no_temporary(tmp_path, monkeypatch, call, number):
    path = tmp_path / "file"
    path.write_text("before")

    def fails(*arguments):
        raise OSError(number, "said by the system", str(arguments[0]))

    if call == "sync":
        monkeypatch.setattr(files, "sync", fails)
    else:
        monkeypatch.setattr(Path, call, fails)
    with pytest.raises(DiskError) as caught:
        files.write_atomically(path, "after")
    monkeypatch.undo()
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert str(caught.value).startswith(f"{path}: said by the system.")
    if number in (errno.ENOSPC, errno.EDQUOT):
        assert "MB free" in str(caught.value)
        assert "Free some space or choose another folder" in str(caught.value)


@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o644)])
def test_what_names_a_person_is_for_its_owner_alone(tmp_path, private, mode):
    mask = os.umask(0o022)
    try:
        files.write_atomically(tmp_path / "letter", "x", private=private)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "letter").stat().st_mode) == mode


def test_a_temporary_cannot_be_guessed_and_is_ours_before_it_is_written(tmp_path):
    names = []
    for _ in range(2):
        files.replace_file(tmp_path / "letter", lambda path: names.append((path.name, path.stat().st_size)))
    assert len({name for name, _ in names}) == 2
    assert [size for _, size in names] == [0, 0]


def test_a_link_laid_where_a_file_will_be_made_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr(files.secrets, "token_hex", lambda count: "guessed")
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / ".letter.tmp-guessed").symlink_to(elsewhere)
    with pytest.raises(DiskError):
        files.write_atomically(tmp_path / "letter", "x")
    assert not elsewhere.exists()


def test_a_write_that_is_interrupted_leaves_no_temporary(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")

    def stopped(temporary):
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.replace_file(path, stopped)
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_missing_folder_is_named_by_the_path_of_the_user(tmp_path):
    with pytest.raises(DiskError, match=r"no/file: No such file or directory\."):
        files.write_atomically(tmp_path / "no" / "file", "x")


def test_json_is_sorted_ends_with_a_line_and_refuses_nan(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": "ü", "a": [1]})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": [\n    1\n  ],\n  "b": "ü"\n}\n'
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1], "b": "ü"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"a": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": [1], "b": "ü"}


def test_sha256_of_a_known_content(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-4, example B.1
    assert (
        files.sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    with pytest.raises(DiskError, match="No such file"):
        files.sha256(tmp_path / "none")


def test_a_place_that_may_be_written(tmp_path):
    files.refuse_existing(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    files.refuse_existing(tmp_path / "empty")


def test_a_place_that_may_not(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ExistsError, match=r"file is a file\. Choose another --out\."):
        files.refuse_existing(tmp_path / "file")
    with pytest.raises(ExistsError, match=r"is not empty\. Choose another --out, or more\."):
        files.refuse_existing(tmp_path, hint=", or more")
    with pytest.raises(DiskError, match="File name too long"):
        files.refuse_existing(tmp_path / ("x" * 300))
