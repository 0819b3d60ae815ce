"""Mutated product files: a line with the place, or a right product; never a traceback, never a hang."""

import random
import tomllib
from importlib.resources import files

import pytest

from lendsafe.errors import ConfigError
from lendsafe.product.check import said
from lendsafe.product.read import PACKAGED, examine, load, product_from

FRAGMENTS = (
    "=",
    "[",
    "]",
    '"',
    "{",
    "}",
    "\n",
    "0",
    "-1",
    "1e999",
    "nan",
    "inf",
    "true",
    "[]",
    "{}",
    '""',
    "'''",
    "#",
    "\x00",
    "é",
    "money",
    "feature",
    "/ 0",
    "(",
    "9" * 30,
)


RATIO = 'formula = "100 * loan_amount / max(annual_income, 1)"'
OUTCOMES = 'map = { "0" = 0, "1" = 1, "0.0" = 0, "1.0" = 1, "False" = 0, "True" = 1, "" = "" }'


def mutated(text: str, draw: random.Random) -> str:
    for _ in range(1 + draw.randrange(4)):
        lines = text.split("\n")
        at = draw.randrange(len(lines))
        kind = draw.randrange(7)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[draw.randrange(len(lines))])
        elif kind == 2:
            other = draw.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 3 and lines[at]:
            place = draw.randrange(len(lines[at]))
            lines[at] = lines[at][:place] + draw.choice(FRAGMENTS) + lines[at][place:]
        elif kind == 4 and "=" in lines[at]:
            lines[at] = lines[at].split("=")[0] + "= " + draw.choice(FRAGMENTS)
        elif kind == 5 and lines[at]:
            place = draw.randrange(len(lines[at]))
            lines[at] = lines[at][:place] + lines[at][place + 1 + draw.randrange(3) :]
        else:
            lines[at] = lines[at].replace(draw.choice("aeiou"), draw.choice("aeiou"))
        text = "\n".join(lines)
    return text


def tried(seed: int, count: int) -> tuple[int, int]:
    draw = random.Random(seed)
    texts = [
        (files("lendsafe.product") / "packaged" / f"{name.replace('-', '_')}.toml").read_text("utf-8")
        for name in PACKAGED
    ]
    good = bad = 0
    for _ in range(count):
        text = mutated(draw.choice(texts), draw)
        try:
            table = tomllib.loads(text)
        except (ValueError, RecursionError):
            continue
        product, flaws = examine(table, text)
        assert (product is None) == bool(flaws)
        if product is None:
            bad += 1
            assert all(one.key and one.message and "\n" not in str(one) for one in flaws)
        else:
            good += 1
            for one in product.reasons.values():
                said(one, {})
    return good, bad


def test_mutated_products_are_refused_with_a_place_or_right():
    good, bad = tried(1, 300)
    assert good > 20
    assert bad > 50


@pytest.mark.soak
def test_twenty_thousand_mutated_products():
    tried(2, 20_000)


@pytest.mark.parametrize(
    ("change", "said_of_it"),
    [
        (('kind = "count"', 'kind = "coutn"'), "expected one of money, percent, count"),
        (('risk = "+"', 'rsik = "+"'), "unknown key. Did you mean 'risk'?"),
        ((RATIO, 'formula = "loan_amount + employment_months"'), "adds money and time"),
        ((RATIO, 'formula = "loan_amount / 0"'), "is zero"),
        ((RATIO, 'formula = "loan_amuont / 5"'), "Did you mean 'loan_amount'?"),
        (('reason = "inquiries"', 'reason = "inquirys"'), "no reason 'inquirys'. Did you mean 'inquiries'?"),
        ((OUTCOMES, 'map = { "0" = 0 }'), "has one outcome only"),
        (('[reasons.inquiries]', '[reasons.inquiries_2]'), "no feature and no rule gives this reason"),
        (('field = "bankruptcies"\nabove', 'field = "bankruptcy"\nabove'), "Did you mean 'bankruptcies'?"),
        (('statement = "Bankruptcy"', 'statement = "Does not meet our internal standards"'), "is no specific reason"),
    ],
)  # fmt: skip
def test_each_mistake_names_its_line_and_what_to_try(change, said_of_it):
    text = (files("lendsafe.product") / "packaged" / "consumer.toml").read_text("utf-8")
    assert change[0] in text
    wrong = text.replace(change[0], change[1], 1)
    with pytest.raises(ConfigError) as raised:
        product_from(tomllib.loads(wrong), "own.toml", wrong)
    message = str(raised.value)
    assert said_of_it in message
    flaw = message[message.rindex("line ", 0, message.index(said_of_it)) :][: len(said_of_it) + 200]
    line = int(flaw.split("line ")[1].split(":")[0])
    changed = wrong[: wrong.index(change[1])].count("\n") + 1
    assert (
        abs(line - changed) <= 8
        or change[1].split("=")[0].strip(" []") in flaw
        or change[1].split('"')[1] in flaw
    )


def test_all_mistakes_at_once():
    text = (files("lendsafe.product") / "packaged" / "consumer.toml").read_text("utf-8")
    wrong = text.replace('kind = "count"', 'kind = "number of"').replace('unit = "months"', 'unti = "months"')
    with pytest.raises(ConfigError) as raised:
        product_from(tomllib.loads(wrong), "own.toml", wrong)
    assert str(raised.value).count("line ") >= 8


@pytest.mark.parametrize("name", PACKAGED)
def test_those_that_ship_are_whole(name):
    product = load(name)
    for one in product.features:
        assert product.reasons[one.reason].statement
        assert one.called
    assert product_from(dict(product.table), "again") == product
