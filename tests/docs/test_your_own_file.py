"""The page about a lender's own file: each of its commands is run, in its order, on files that a seed draws."""

import json
import re
import shlex
import tomllib
from contextlib import chdir
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from command import Ran, lendsafe
from credit_union import HEADER, new, past, write

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your-own-file.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
COMMANDS = [line for kind, block in BLOCKS if kind == "console" for line in block.splitlines()]
REVIEWED = next(block for kind, block in BLOCKS if kind == "toml")


def edited(draft: str, reviewed: str) -> str:
    """The draft with fields replaced line by line, and every other section of ``reviewed`` in place of its own."""
    parts = re.split(r"^(?=\[)", draft, flags=re.MULTILINE)
    for section in re.split(r"^(?=\[)", reviewed, flags=re.MULTILINE)[1:]:
        title = section.split("]")[0] + "]"
        place = next(i for i, part in enumerate(parts) if part.startswith(title))
        if title != "[fields]":
            parts[place] = section
            continue
        for line in section.splitlines()[1:]:
            if key := line.split(" = ")[0]:
                parts[place], count = re.subn(
                    rf"^{key} = .*$", lambda _, line=line: line, parts[place], flags=re.MULTILINE
                )
                assert count == 1, key
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


SLOW = (
    "risk report",
    "data synth",
    "train",
)  # minutes where the machine has other work; left out of the short walk


def walk(folder: Path, *, short: bool) -> dict[str, Ran]:
    """Run the page's commands in a folder, and do by hand what it says is done by hand; what each said."""
    applied = [date.today() - timedelta(days=1 + number) for number in range(12)]
    asked = [row | {"AppDate": f"{day:%m/%d/%Y}"} for row, day in zip(new(12), applied, strict=True)]
    write(folder / "loans.csv", past(1_500))
    write(folder / "new.csv", asked)
    said = {}
    for line in COMMANDS:
        command, _, into = line.removeprefix("lendsafe ").partition(" > ")
        if short and command.startswith(SLOW):
            continue
        words = shlex.split(command.replace(" --adapter run", "") if short else command)
        said[command] = ran = lendsafe(*words)
        assert ran.code == 0, f"{line}\n{ran.err}"
        if into:
            (folder / into).write_text(ran.out)
        if command.startswith("product new"):
            product = folder / "loans.toml"
            product.write_text(edited(product.read_text(), REVIEWED))
        if command.endswith("--example-lender"):
            assert "FILL IN" in (folder / into).read_text()
            (folder / into).write_text((files("lendsafe.notice") / "demo.toml").read_text("utf-8"))
    return said


@pytest.fixture(
    scope="module",
    params=[pytest.param(True, id="short"), pytest.param(False, id="whole", marks=pytest.mark.soak)],
)
def walked(request, tmp_path_factory) -> tuple[Path, dict[str, Ran], bool]:
    folder = tmp_path_factory.mktemp("own")
    with chdir(folder):
        return folder, walk(folder, short=request.param), request.param


def step(said: dict[str, Ran], start: str) -> Ran:
    return next(ran for command, ran in said.items() if command.startswith(start))


def test_the_page_shows_the_whole_way():
    steps = [" ".join(shlex.split(line)[1:3]) for line in COMMANDS]
    assert steps == [
        "product new", "product check", "risk train", "risk report", "data synth", "train --model",
        "explain --example-lender", "explain new.csv", "record verify",
    ]  # fmt: skip
    assert next(block for _, block in BLOCKS).splitlines()[0] == ",".join(HEADER)


def test_what_the_page_changes_is_what_a_product_is_made_of(walked):
    folder, said, _ = walked
    table = tomllib.loads((folder / "loans.toml").read_text())
    changed = tomllib.loads(REVIEWED)
    assert {name: table["fields"][name] for name in changed["fields"]} == changed["fields"]
    assert table["reasons"] == changed["reasons"]
    assert "can be used" in step(said, "product check").out


def test_every_declined_applicant_has_a_letter_with_reasons(walked):
    folder, _, _ = walked
    lines = [json.loads(line) for line in (folder / "letters.jsonl").read_text().splitlines()]
    assert len(lines) == 12
    declined = [one for one in lines if one["decision"] == "declined"]
    assert declined
    for one in lines:
        assert (folder / "letters" / one["letter"]["file"]).read_bytes().startswith(b"%PDF")
    for one in declined:
        assert one["reasons"]
        assert not one["letter"]["late"]


def test_the_summary_on_the_page_is_the_real_one(walked):
    _, said, short = walked
    shown = next(block for kind, block in BLOCKS if not kind and block.startswith("letters.jsonl:"))
    real = step(said, "explain new.csv").out
    assert shown.splitlines()[0] == real.splitlines()[0]
    if not short:
        assert re.sub(r"\d+", "N", shown) == re.sub(r"\d+", "N", real)


@pytest.mark.soak
def test_the_report_is_of_groups_and_never_of_one_person(walked):
    folder, said, short = walked
    if not short:
        assert "L3" not in step(said, "risk report").out
        groups = json.loads((folder / "risk" / "metrics.json").read_text())["groups"]
        assert {one["attribute"] for one in groups} == {"sex", "post_code", "age"}


def test_the_record_is_whole(walked):
    assert "12 records" in step(walked[1], "record verify").out
