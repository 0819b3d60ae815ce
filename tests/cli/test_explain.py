"""``lendsafe explain`` as a user meets it: what it prints, writes, refuses, and how it ends."""

import json
import re
import stat
import subprocess
import sys
from datetime import date
from importlib.resources import files

import pytest
from lending import NAME, NOTICE_DAY, approved, declined, risk_folder

from lendsafe.cli import main
from lendsafe.notice import example_toml


@pytest.fixture(scope="module")
def risk(tmp_path_factory):
    return str(risk_folder(tmp_path_factory.mktemp("model")))


@pytest.fixture
def lendsafe(capsys, monkeypatch):
    monkeypatch.setattr("lendsafe.cli.explain._today", lambda: date.fromisoformat(NOTICE_DAY))

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["explain", *map(str, arguments)])
        told = capsys.readouterr()
        return ended.value.code, told.out, told.err

    return call


def put(folder, tables, name="a.json"):
    path = folder / name
    path.write_text(json.dumps(tables))
    return path


@pytest.fixture
def lender(tmp_path):
    path = tmp_path / "lender.toml"
    path.write_text((files("lendsafe.notice") / "demo.toml").read_text("utf-8"))
    return path


def test_one_application_is_explained_by_the_template_without_a_model(lendsafe, risk, tmp_path):
    code, out, err = lendsafe(put(tmp_path, declined()), "--risk", risk)
    assert (code, err) == (0, "")
    assert re.match(r"LS-000001: declined, probability of default \d\.\d{3}, cut-off 0\.\d{3}\n", out)
    assert re.search(r"\n  1\. [A-Z].+ \(strong, \+\d\.\d\d log-odds\)\n", out)
    assert "In the product's fixed words; every check passed." in out
    assert NAME not in out


def test_json_goes_to_stdout_alone(lendsafe, risk, tmp_path):
    path = put(tmp_path, declined())
    code, out, err = lendsafe(
        path, "--risk", risk, "--json", "--notice", tmp_path / "x.txt", "--notice-date", NOTICE_DAY
    )
    told = json.loads(out)
    assert code == 0
    assert "specimen" in err
    assert told["decision"] == "declined"
    assert told["letter"]["kind"] == "denial"
    assert told["letter"]["deadline"] == "2026-12-02"
    assert told["letter"]["file"] == str(tmp_path / "x.txt")


@pytest.mark.parametrize(
    ("ending", "start"), [("pdf", b"%PDF-"), ("html", b"<!DOCTYPE"), ("txt", b"  Specimen")]
)
def test_the_letters_ending_names_its_medium(lendsafe, risk, tmp_path, lender, ending, start):
    path = tmp_path / f"letter.{ending}"
    arguments = (put(tmp_path, declined()), "--risk", risk, "--lender", lender, "--notice", path)
    code, out, err = lendsafe(*arguments, "--notice-date", NOTICE_DAY)
    assert (code, err) == (0, "")
    assert path.read_bytes().startswith(start)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"File: {path}" in out
    before = path.read_bytes()
    lendsafe(*arguments, "--notice-date", NOTICE_DAY)
    assert path.read_bytes() == before


def test_a_late_letter_is_warned_of_on_stderr(lendsafe, risk, tmp_path, lender):
    arguments = (
        put(tmp_path, declined()),
        "--risk",
        risk,
        "--lender",
        lender,
        "--notice-date",
        "2026-12-03",
        "--json",
    )
    code, out, err = lendsafe(*arguments)
    assert code == 0
    assert "later than 30 days after the application (it was due on 2026-12-02)" in err
    assert json.loads(out)["letter"]["late"] is True


def test_a_letter_dated_before_today_is_warned_of_and_counted_to_today(
    lendsafe, risk, tmp_path, lender, monkeypatch
):
    arguments = (put(tmp_path, declined()), "--risk", risk, "--lender", lender, "--notice-date", "2026-11-24")
    monkeypatch.setattr("lendsafe.cli.explain._today", lambda: date(2026, 12, 3))
    code, _, err = lendsafe(*arguments)
    assert code == 0
    assert "dated 2026-11-24, and written 2026-12-03" in err
    assert "later than 30 days after the application (it was due on 2026-12-02)" in err


def test_many_are_explained_into_lines_with_rate_and_time_left(lendsafe, risk, tmp_path, lender):
    path = put(tmp_path, [declined(1), approved(2)])
    arguments = (
        path,
        "--risk",
        risk,
        "--lender",
        lender,
        "--out",
        tmp_path / "out.jsonl",
        "--notice-date",
        NOTICE_DAY,
    )
    code, out, err = lendsafe(*arguments, "--table", tmp_path / "t.csv")
    assert code == 0
    assert out.startswith(f"{tmp_path / 'out.jsonl'}: 2 lines written, 0 were there\n")
    assert "1 approved, 1 declined" in out
    assert "2 in the product's fixed words" in out
    assert "2/2 letters" in err
    assert "/s" in err
    assert "ETA 0:00" in err
    assert (tmp_path / "t.csv").read_text().startswith("applicant_id,decision")
    for name in ("out.jsonl", "t.csv"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    told = json.loads(lendsafe(*arguments, "--json")[1])
    assert [told.pop(name) for name in ("decisions", "sources", "whys")] == [{}, {}, {}]
    assert told == {
        "out": str(tmp_path / "out.jsonl"), "written": 0, "found": 2, "fallbacks": 0, "late": 0, "failed": [],
    }  # fmt: skip


def test_letters_that_cannot_be_made_are_named_and_end_in_3(lendsafe, risk, tmp_path, lender):
    contact = {"name": "李明", "address": ["1 Elm", "Columbus, OH"]}
    path = put(tmp_path, [declined(1), declined(2, contact=contact)])
    arguments = (path, "--risk", risk, "--lender", lender, "--out", tmp_path / "out.jsonl")
    code, out, err = lendsafe(*arguments, "--notice", tmp_path / "letters", "--notice-date", NOTICE_DAY)
    assert code == 3
    assert "1 lines written" in out
    assert "1 applications have no line" in err
    assert "U+674E" in err
    assert [one.name for one in (tmp_path / "letters").iterdir()] == ["LS-000001.pdf"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "--risk"),
        (("{many}", "--risk", "{risk}"), 3, "2 applications; expected one"),
        (("{one}", "--risk", "{risk}", "--notice", "x.doc"), 2, ".pdf, .html, .txt"),
        (("{one}", "--risk", "{risk}", "--adapter", "{here}"), 2, "adapter_config.json"),
        (("{one}", "--risk", "{risk}", "--adapter", "{here}", "--model", "granite-tiny"), 2, "not both"),
        (("{one}", "--risk", "{here}"), 5, "model.json"),
        (("{here}/none.json", "--risk", "{risk}"), 5, "No such file"),
        (("{one}", "--risk", "{risk}", "--lender", "{here}/none.toml"), 2, "none.toml"),
        (("{one}", "--risk", "{risk}", "--lender", "{example}"), 2, "still to be filled in"),
        (("{one}", "--risk", "{risk}", "--retries", "11"), 2, "retries"),
    ],
)
def test_a_mistake_ends_in_one_line_and_its_code(lendsafe, risk, tmp_path, arguments, code, says):
    (tmp_path / "example.toml").write_text(example_toml())
    places = {
        "risk": risk,
        "here": tmp_path,
        "one": put(tmp_path, declined(), "one.json"),
        "many": put(tmp_path, [declined(1), declined(2)], "many.json"),
        "example": tmp_path / "example.toml",
    }
    before = sorted(tmp_path.rglob("*"))
    ended, out, err = lendsafe(*(one.format(**places) for one in arguments))
    assert (ended, out) == (code, "")
    assert says in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_the_lenders_file_to_fill_in_is_printed(lendsafe):
    assert lendsafe("--example-lender") == (0, example_toml(), "")


def test_importing_the_package_loads_nothing_heavy_and_finds_every_name():
    code = (
        "import sys, lendsafe; before = set(sys.modules);"
        "heavy = {'mlx', 'mlx_lm', 'numpy', 'pandas', 'xgboost', 'torch', 'typst', 'transformers'};"
        "assert not heavy & before, heavy & before;"
        "assert all(getattr(lendsafe, name) is not None for name in lendsafe.__all__);"
        "assert set(lendsafe.__all__) <= set(dir(lendsafe)); assert not hasattr(lendsafe, 'nothing')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_application_in_the_help_can_be_explained(lendsafe, risk, tmp_path):
    code, out, _ = lendsafe("--help")
    assert code == 0
    shown = out[out.index("{") : out.index("}}") + 2]
    figures = {name: one for name, one in declined().items() if name not in shown}
    (tmp_path / "a.json").write_text(shown.replace("...", json.dumps(figures)[1:-1]))
    code, _, err = lendsafe(
        tmp_path / "a.json", "--risk", risk, "--notice", tmp_path / "x.txt", "--notice-date", NOTICE_DAY
    )
    assert (code, "specimen" in err) == (0, True)
    assert "Jordan Sample" in (tmp_path / "x.txt").read_text()
