"""A field and a reason of a lender's own are described once, in one file; the code names no field of any product."""

import re
from pathlib import Path

import pytest
from credit_union import new, past, write

from lendsafe import parts, prompts, slots, template
from lendsafe.corpus.approved import language
from lendsafe.corpus.grammar import narrative_parts
from lendsafe.eval.truth.examine import examine
from lendsafe.pipeline.applications import read_file
from lendsafe.pipeline.letters import Explainer
from lendsafe.product import consumer, load
from lendsafe.product.new import draft
from lendsafe.product.words import fact_sentence
from lendsafe.records import Style
from lendsafe.risk import dataset
from lendsafe.risk.model import RiskEngine

ROOT = Path(__file__).resolve().parents[2]
# What belongs to the consumer product by its nature: its own process, and the toy model that was pretrained on it.
ITS_OWN = (
    "lendsafe/corpus/process.py",
    "lendsafe/corpus/process.toml",
    "lendsafe/product/packaged/",
    "lendsafe/granite_tiny/",
)


def test_no_code_names_a_field_of_the_consumer_product():
    names = [name for name, one in consumer().values.items() if "_" in name and one.formula is None]
    found = re.compile(rf"\b(?:{'|'.join(names)})\b")
    guilty = {
        path.relative_to(ROOT).as_posix(): sorted(set(found.findall(path.read_text())))
        for path in (ROOT / "lendsafe").rglob("*.py")
        if found.search(path.read_text())
    }
    assert {name: said for name, said in guilty.items() if not name.startswith(ITS_OWN)} == {}


def test_no_code_names_a_reason_of_the_consumer_product():
    codes = [code for code in consumer().reasons if "_" in code and code not in consumer().fields]
    found = re.compile(rf"[\"'](?:{'|'.join(codes)})[\"']")
    guilty = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "lendsafe").rglob("*.py")
        if found.search(path.read_text())
    ]
    assert [name for name in guilty if not name.startswith(ITS_OWN)] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("one")


@pytest.fixture(scope="module")
def raw(folder):
    return write(folder / "past.csv", past())


@pytest.fixture(scope="module")
def applicants(folder):
    return write(folder / "new.csv", new())


@pytest.fixture(scope="module")
def product_file(folder, raw, applicants):
    """The draft, with one field and one reason more: garage rent, and what it is given as."""
    text = draft(raw, applicants)
    field = (
        'garage = { columns = ["NSF12M"], kind = "count", noun = ["garage", "garages"], window = "past 3 years", '
        'origin = "third_party", low = 0, high = 50, risk = "+", reason = "garages", '
        'ask = "How many garages you rent" }\n'
    )
    nsf = next(line for line in text.splitlines() if line.startswith("nsf_12m"))
    text = text.replace(nsf + "\n", field).replace(
        "\n[request]", '\ngarages = "Number of garages rented"\n\n[request]'
    )
    text = "\n".join(line for line in text.splitlines() if not line.startswith("overdrafts = ")) + "\n"
    path = folder / "own.toml"
    path.write_text(
        text.replace(
            '[score]\nfield = "score"', '[score]\nfield = "score"\ncreated = "app_date"\nno_factors = true'
        )
    )
    return path


@pytest.fixture(scope="module")
def engine(product_file, raw):
    data = dataset.read(raw, load(product_file))
    return RiskEngine.fit(data.frame, features=data.features)


def test_a_new_field_and_reason_are_everywhere(engine, product_file, applicants):
    product = load(product_file)
    assert "garage" in engine.features.names
    read = read_file(applicants, product)
    explainer = Explainer(engine)
    told = next(
        one for one in explainer.assess(read.applications)
        if one.decision == "declined" and any(reason.code == "garages" for reason in one.reasons)
    )  # fmt: skip
    shown = slots.facts(told)["garage"]
    assert re.fullmatch(r"\d+ garages? in the past 3 years", shown)
    asked = prompts.describe(told, Style())
    assert re.search(
        r"\[reason \d\] Number of garages rented \((?:slight|moderate|strong)\) \{garage\}", asked
    )
    text = slots.render(template.template(told, Style()), slots.facts(told))
    assert "the number of garages rented" in text
    assert shown in text
    assert fact_sentence(product.fields["garage"]) == "The information that we obtained shows {garage}."


def test_the_grammar_and_the_checks_know_it_too(engine, applicants):
    import random

    product = engine.features.product
    approved = language(product)
    rng = random.Random(1)
    for told in Explainer(engine).assess(read_file(applicants, product).applications):
        for style in (Style(), Style(detail="detailed", register="warm")):
            if told.decision not in ("approved", "declined") or not (told.reasons or told.strengths):
                continue
            reply = parts.join(narrative_parts(told, style, rng), parts.of(told, style))
            found = examine(reply, told, style, approved)
            assert {one.kind for one in found.verdicts} == {"supported"}, found.verdicts
            assert not [one for one in found.findings if one.rule not in ("G11", "G12")]


def test_what_is_missing_is_asked_for_in_its_words(engine, applicants, folder):
    rows = new(1)
    rows[0]["NSF12M"] = ""
    path = write(folder / "lacking.csv", rows)
    (told,) = Explainer(engine).assess(read_file(path, engine.features.product).applications)
    assert told.decision == "incomplete"
    assert template.needed(told) == ["How many garages you rent"]


def test_the_identifier_beside_the_protected_columns_is_no_group(product_file, raw):
    assert list(dataset.read(raw, load(product_file)).protected) == ["sex", "post_code", "age"]
