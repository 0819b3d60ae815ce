"""Whatever an applicant writes: no control token, no other decision, no other letter, no file elsewhere, no leak."""

import io
import json
import logging
import random
import subprocess
import sys
from datetime import date
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from lending import (
    NOTICE_DAY,
    approved,
    declined,
    engine,
    incomplete,
    risk_folder,
    without_waiting_for_the_disk,
)
from payloads import payloads
from pypdf import PdfReader

from lendsafe import prompts
from lendsafe.cli import main
from lendsafe.errors import DataError
from lendsafe.mlx_lora.exchange.loading import load_tokenizer_of, resolve
from lendsafe.mlx_lora.tokens import prompt_ids
from lendsafe.notice import demo_config, render_html, render_pdf, render_text, validate
from lendsafe.notice.characters import visible
from lendsafe.pipeline.applications import Read, application_from
from lendsafe.pipeline.batch import Delivery, run
from lendsafe.pipeline.letters import Explainer
from lendsafe.product import consumer
from lendsafe.records import Message, Style

FAST, SOAK = 400, 5_000
FREE_TEXT = tuple(name for one in consumer().aside for name in one.columns if name != "email")
DAY = date.fromisoformat(NOTICE_DAY)


@cache
def tokenizer():
    return load_tokenizer_of(resolve("granite-tiny"))


def hostile(number, text, maker=declined):
    """An application with the text in every place where an applicant's words may stand."""
    contact = {"name": text, "address": [text, "Columbus, OH 43004"]}
    return maker(number, contact=contact, key_factors=[text], **dict.fromkeys(FREE_TEXT, text))


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.opened = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.opened.append((tag, *(name for name, _ in attrs)))


def shape(letter):
    return [(block.id, block.version, len(block.items), len(block.rows)) for block in letter.blocks]


def headings(text):
    return [line for line in text.splitlines() if line and set(line) == {"-"}]


# ---------------------------------------------------------------- tokens


def no_control_token(count):
    control = set(tokenizer()._tokenizer.all_special_ids)
    usual = prompt_ids(tokenizer(), [Message("user", "x")])
    for text in payloads(count, seed=1):
        ids = prompt_ids(tokenizer(), [Message("user", text)])
        assert sum(one in control for one in ids) == sum(one in control for one in usual), repr(text)


def test_no_payload_becomes_a_control_token():
    no_control_token(FAST)


@pytest.mark.soak
def test_five_thousand_payloads_become_no_control_token():
    no_control_token(SOAK)


def test_harmless_text_is_tokenised_as_ever():
    text = "We have declined your request for {loan_amount}. The main reasons are given here."
    plain = tokenizer().encode(text, add_special_tokens=False)
    ids = prompt_ids(tokenizer(), [Message("user", text)])
    assert "".join(map(str, plain)) in "".join(map(str, ids))


# ---------------------------------------------------------------- decisions and letters


def nothing_changes(count, every_pdf):
    explainer = Explainer(engine(), lender=demo_config())
    for maker in (declined, approved, incomplete):
        plain = maker(0, key_factors=["Too many inquiries"])
        (usual,) = explainer.explain([application_from(plain)], notice_date=DAY)
        usual_html, usual_text = render_html(usual.letter), render_text(usual.letter)
        usual_prompt = prompts.request(usual.explanation.assessment, Style())
        texts = [one for one in payloads(count, seed=2) if visible(one)]
        assert len(texts) > 0.99 * count
        applications = [application_from(hostile(n, text, maker)) for n, text in enumerate(texts)]
        for n, one in enumerate(explainer.explain(applications, notice_date=DAY)):
            assert (one.decision, one.reasons, one.text) == (usual.decision, usual.reasons, usual.text)
            assert prompts.request(one.explanation.assessment, Style()) == usual_prompt
            assert shape(one.letter) == shape(usual.letter)
            assert validate(one.letter) == []
            assert Tags(render_html(one.letter)).opened == Tags(usual_html).opened
            assert headings(render_text(one.letter)) == headings(usual_text)
            if n % every_pdf == 0:
                same_paper(one.letter, usual.letter, texts[n])


def same_paper(letter, usual, text):
    try:
        paper = PdfReader(io.BytesIO(render_pdf(letter)))
    except DataError as problem:
        assert "U+" in str(problem)
        return
    assert paper.metadata.title == usual.title
    assert not {"/OpenAction", "/AA", "/Names", "/AcroForm"} & set(paper.trailer["/Root"])
    assert not any("/Annots" in page for page in paper.pages)
    assert text not in str(paper.metadata)


def test_no_payload_changes_decision_reasons_or_letter():
    nothing_changes(FAST // 4, every_pdf=20)


@pytest.mark.soak
def test_five_thousand_payloads_change_no_decision_reasons_or_letter():
    nothing_changes(SOAK, every_pdf=25)


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    without_waiting_for_the_disk(monkeypatch)


def only_below(tmp_path, count, medium):
    texts = payloads(count, seed=3)
    refused = 0
    for text in texts:
        try:
            application_from(declined(applicant_id=text))
        except DataError as problem:
            refused += 1
            assert text not in str(problem) or len(text) < 4
    assert refused == len(texts)  # none of them is an opaque identifier
    inside = tmp_path / "inside"
    applications = [application_from(hostile(n, one)) for n, one in enumerate(texts) if visible(one)]
    delivery = Delivery(folder=inside / "letters", medium=medium, record=inside / "record", notice_date=DAY)
    run(
        Explainer(engine(), lender=demo_config()),
        Read(applications=tuple(applications)),
        inside / "out.jsonl",
        delivery,
    )
    assert [one.name for one in tmp_path.iterdir()] == ["inside"]
    assert {one.name for one in inside.iterdir()} == {"out.jsonl", "letters", "record"}
    assert {one.stem for one in (inside / "letters").iterdir()} == {one.id for one in applications}


def test_no_payload_writes_outside_the_folder(tmp_path):
    only_below(tmp_path, FAST // 8, "html")


@pytest.mark.soak
def test_five_thousand_payloads_write_nothing_outside_the_folder(tmp_path):
    only_below(tmp_path, SOAK, "html")


# ---------------------------------------------------------------- canaries

CANARY = "Zq7 Canary {} Zq7"  # with blanks, as names have them: no opaque identifier
PLACES = (*FREE_TEXT, "name", "address", "key_factors", "delivery", "a key", *declined(), "a row")
FORMS = ("json", "jsonl", "csv", "cut off", "no header")


def planted(rng, run_number):
    """An application with canaries in some places, as the content and ending of a file."""
    canary = CANARY.format(run_number)
    table = rng.choice((declined, approved, incomplete))(run_number)
    table["contact"] = {"name": canary, "address": [f"{canary} Street", "Columbus, OH"]}
    table |= dict.fromkeys(rng.sample(FREE_TEXT, 5), canary)
    for place in rng.sample(PLACES, rng.choice((0, 0, 1, 2))):
        if place in ("name", "address", "delivery"):
            table["contact"] |= {place: rng.choice((canary * 20, [canary], 3, ""))}
        elif place == "a key":
            table[f"{canary} Street"] = canary
        elif place != "a row":
            table[place] = rng.choice((canary, [canary], {canary: canary}, f"={canary}"))
    form = rng.choice(FORMS)
    if form in ("csv", "no header"):
        flat = {k: v for k, v in table.items() if k != "contact"}
        flat |= {
            f"contact.{k}": v
            for k, v in (table["contact"] if isinstance(table["contact"], dict) else {}).items()
        }
        rows = [flat] if form == "no header" else [dict.fromkeys(flat), flat]
        lines = [
            ",".join(f'"{k if v is None and form == "csv" else v}"' for k, v in row.items()) for row in rows
        ]
        return "\n".join(lines) + "\n", "csv"
    text = json.dumps(table, indent=2 if form == "json" else None, ensure_ascii=rng.random() < 0.5)
    return (
        text[: rng.randrange(len(text))] if form == "cut off" else text
    ) + "\n", "jsonl" if form == "jsonl" else "json"


def leaks(tmp_path, capsys, caplog, runs, seed):
    rng, risk = random.Random(seed), risk_folder(tmp_path)
    caplog.set_level(logging.DEBUG)
    codes = []
    for number in range(runs):
        content, ending = planted(rng, number)
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / f"application.{ending}"
        path.write_text(content)
        arguments = ["explain", str(path), "--risk", str(risk), "--notice-date", NOTICE_DAY]
        how = rng.choice(("plain", "json", "letter", "batch"))
        arguments += ["--json"] * (how == "json" or rng.random() < 0.5)
        if how == "letter":
            arguments += ["--notice", str(folder / rng.choice(("letter.txt", "letter.html")))]
        if how == "batch":
            arguments += ["--out", str(folder / "out.jsonl"), "--table", str(folder / "t.csv")]
            arguments += ["--notice", str(folder / "letters"), "--medium", "txt"]
        if how in ("letter", "batch"):
            arguments += ["--record", str(folder / "r")]
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        codes.append(ended.value.code)
        told = capsys.readouterr()
        shown = [told.out, told.err, caplog.text, *(one.name for one in folder.rglob("*"))]
        for one in ("out.jsonl", "t.csv", "r/ledger.jsonl"):
            shown.append((folder / one).read_text() if (folder / one).exists() else "")
        assert "Zq7" not in "\n".join(shown), (number, how, content)
        assert "Traceback" not in told.err
        caplog.clear()
    return codes


def test_no_canary_reaches_output_errors_logs_or_file_names(tmp_path, capsys, caplog):
    codes = leaks(tmp_path, capsys, caplog, 60, seed=4)
    assert set(codes) == {0, 3}
    assert min(codes.count(0), codes.count(3)) > 15


@pytest.mark.soak
def test_two_thousand_runs_leak_no_canary(tmp_path, capsys, caplog):
    codes = leaks(tmp_path, capsys, caplog, 2_000, seed=5)
    assert set(codes) == {0, 3}
    assert min(codes.count(0), codes.count(3)) > 500


# ---------------------------------------------------------------- tripwires

WATCHED = """
import sys
seen = []
watched = {"socket.connect", "pickle.find_class"}
sys.addaudithook(lambda event, arguments: seen.append(event) if event in watched else None)
from lendsafe.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert ended.code == 0, ended.code
assert not seen, seen
"""


def test_the_whole_way_opens_no_connection_and_no_pickle(tmp_path):
    risk, path = risk_folder(tmp_path), tmp_path / "a.json"
    path.write_text(json.dumps(declined()))
    arguments = ["explain", str(path), "--risk", str(risk), "--model", "granite-tiny", "--max-tokens", "40"]
    arguments += ["--notice", str(tmp_path / "x.pdf"), "--record", str(tmp_path / "record")]
    ended = subprocess.run([sys.executable, "-c", WATCHED, *arguments], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert Path(tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")
    assert "every check passed" in ended.stdout
