"""The lender's file: nothing is assumed, nothing made up passes."""

import base64
from datetime import date
from functools import cache
from importlib.resources import files
from xml.etree import ElementTree

import pytest
from shared_data import shared_data

from lendsafe.errors import ConfigError
from lendsafe.fields import parse_toml
from lendsafe.notice import demo_config, example_toml, read_config
from lendsafe.notice.config import is_toll_free
from lendsafe.notice.lender import agencies, config_from


def table(**changes):
    """The demonstration's tables, filled in as a real lender would."""
    raw = parse_toml((files("lendsafe.notice") / "demo.toml").read_text("utf-8"), "demo")
    raw["specimen"] = False
    raw["creditor"]["phone"] = "(614) 221-4000"
    raw["bureau"]["phone"] = "(800) 221-4001"
    for path, value in changes.items():
        inner, *names = path.split("__")
        if names:
            raw[inner][names[0]] = value
        elif value is None:
            raw.pop(inner)
        else:
            raw[inner] = value
    return raw


def test_the_example_is_refused_until_it_is_filled_in(tmp_path):
    path = tmp_path / "notice.toml"
    path.write_text(example_toml())
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    for name in (
        "as_of",
        "creditor_type",
        "score_disclosed",
        "creditor.name",
        "creditor.address",
        "bureau.phone",
        "score.provider",
    ):
        assert name in str(caught.value)


def test_the_example_filled_in_is_read(tmp_path):
    shares = (5, 10, 15, 20, 25, 25)
    bars = (f"{{ low = {300 + 50 * n}, high = {349 + 50 * n}, percent = {p} }}" for n, p in enumerate(shares))
    text = example_toml().replace("distribution = []", f"distribution = [{', '.join(bars)}]")
    for what, value in {
        "FILL IN: a date, such as 2026-11-24": "2026-11-24",  # in its quotes, as printed
        "FILL IN: one of the types above": "finance_company",
        "FILL IN: bureau, proprietary or none": "bureau",
        "FILL IN: telephone number": "(614) 221-4000",
        "FILL IN: toll-free telephone number": "(800) 221-4001",
    }.items():
        text = text.replace(f'"{what}"', f'"{value}"')
    path = tmp_path / "notice.toml"
    path.write_text(text.replace("FILL IN: ", "The "))
    config = read_config(path)
    assert config.as_of == date(2026, 11, 24)
    assert config.agency.offices[0][0] == "Federal Trade Commission"


def test_a_date_may_stand_in_quotes_as_the_example_prints_it():
    assert config_from(table(as_of="2026-11-24")).as_of == date(2026, 11, 24)


WRONG = [[], ["x"], [["x"]], {}, {"a": 1}, {"name": ["x"], "address": ["y"]}, 5, 0.5, True, "", "x", date.min]


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize(
    "key",
    [
        *(
            "as_of",
            "creditor_type",
            "score_disclosed",
            "outside_source",
            "response_days",
            "creditor",
            "bureau",
        ),
        *("score", "agency", "agency__name", "agency__address", "creditor__name", "creditor__address"),
        *("creditor__phone", "bureau__nationwide", "score__low", "score__address", "score__distribution"),
    ],
)
def test_a_value_of_another_kind_ends_in_one_line_with_its_key(key, value):
    raw = table()
    raw["agency"] = {"name": "Regional Office", "address": ["1 Main Street", "Denver, CO 80202"]}
    outer, _, inner = key.partition("__")
    target, name = (raw[outer], inner) if inner else (raw, outer)
    target[name] = value
    try:
        config_from(raw, "lender.toml")
    except ConfigError as problem:
        assert str(problem).startswith("lender.toml")
        assert "\n" not in str(problem)
        assert outer in str(problem)


@pytest.mark.parametrize("text", ["A\x00B", "\ufeffA", "A\u202eB", "A\nB\u200b"])
def test_characters_that_no_letter_can_show_are_refused_by_their_key(text):
    with pytest.raises(ConfigError, match=r"notice\.toml: .*creditor\.name"):
        config_from(table(creditor__name=text), "notice.toml")


def test_which_score_is_disclosed_has_no_default():
    with pytest.raises(ConfigError, match="'score_disclosed' is missing"):
        config_from(table(score_disclosed=None))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"creditor__phone": "(614) 555-0100"}, "fictional"),
        ({"creditor__phone": "call us"}, "ten digits"),
        ({"creditor__name": " "}, "name and an address"),
        ({"creditor__address": []}, "name and an address"),
        ({"bureau__phone": "(614) 221-4001"}, "toll-free"),
        ({"creditor_type": "federal_credit_unoin"}, "Did you mean 'federal_credit_union'"),
        ({"score_disclosed": "vantage"}, "one of bureau, proprietary, none"),
        ({"score": None}, r"no \[score\]"),
        ({"bureau": None}, r"no \[bureau\]"),
        ({"score__low": 850}, "not below"),
        ({"score__distribution": []}, "six bars"),
        ({"response_days": 0}, "from 1 to 90"),
        ({"respons_days": 30}, "Did you mean 'response_days'"),
        ({"creditor": "us"}, "expected a table"),
        ({"agency": {"name": "Regional Office"}}, r"\[agency\]"),
        ({"as_of": "yesterday"}, "as_of"),
        ({"as_of": date(1999, 1, 1)}, "as_of"),
        ({"as_of": date(2099, 1, 1)}, "as_of"),
        ({"creditor__name": "Your Bank Name"}, "filled in: creditor.name"),
        ({"creditor__name": "____ Bank"}, "filled in: creditor.name"),
        ({"creditor__address": ["[street]", "x"]}, "filled in: creditor.address"),
        ({"creditor__phone": "555-555-5555"}, "fictional"),
        ({"creditor__phone": "(614) 555-4000"}, "fictional"),
        ({"creditor__phone": "000-000-0000"}, "fictional"),
        ({"creditor__phone": "123-456-7890"}, "fictional"),
        ({"score__key_factors": ["Applicant's race"]}, "prohibited basis"),
        ({"score__key_factors": ["Call 1-900 for approval"]}, "no factor"),
        ({"pricing": {"method": "tiers", "tiers": 4}}, "has no effect"),
        ({"pricing": {"method": "tiers"}, "approval_score_notice": False}, "needs 'tiers'"),
        ({"pricing": {"method": "score_proxy"}, "approval_score_notice": False}, "needs 'cutoff'"),
        ({"jurisdictions": ["US", "EU-CCD"]}, "write a file for each"),
        ({"jurisdictions": ["US-NY"]}, "jurisdictions"),
        ({"creditor_type": "packers_and_stockyards"}, r"\[agency\] table"),
        ({"reasons": "orally"}, "stated, on_request"),
    ],
)
def test_what_is_missing_or_wrong_is_named(changes, says):
    with pytest.raises(ConfigError, match=says):
        config_from(table(**changes), "notice.toml")


def test_shares_that_do_not_add_up_are_refused():
    bars = [{"low": 300 + 50 * n, "high": 349 + 50 * n, "percent": 10} for n in range(6)]
    with pytest.raises(ConfigError, match="add up"):
        config_from(table(score__distribution=bars))


def test_bars_that_overlap_are_refused():
    bars = [{"low": 300, "high": 850, "percent": 100 / 6} for _ in range(6)]
    with pytest.raises(ConfigError, match="overlap"):
        config_from(table(score__distribution=bars))


def test_a_lender_may_name_its_own_agency():
    config = config_from(
        table(agency={"name": "Regional Office", "address": ["1 Main Street", "Denver, CO 80202"]})
    )
    assert config.agency.sentence == "Regional Office, 1 Main Street, Denver, CO 80202"


def test_the_agencies_are_those_of_appendix_a_since_2024():
    found = {kind: agency.sentence for kind, agency in agencies().items()}
    assert found["large_institution"].endswith("1700 G Street NW, Washington, DC 20552")
    assert "P.O. Box 53570, Houston, TX 77052" in found["national_bank"]
    assert "Consumer Response Center, 600 Pennsylvania Avenue NW" in found["finance_company"]
    assert found["affiliate_of_large_institution"].count("; and ") == 1
    assert all(
        agency.as_of >= date(2024, 3, 20) and "88 FR 16531" in agency.source for agency in agencies().values()
    )


@pytest.mark.parametrize(
    ("phone", "free"),
    [
        ("(800) 221-4001", True),
        ("1-888-221-4001", True),
        ("8332214001", True),
        ("(614) 800-4000", False),
        ("801-221-4001", False),
    ],
)
def test_toll_free_numbers_are_known_by_their_prefix(phone, free):
    assert is_toll_free(phone) is free


def test_several_agencies_and_scores_stand_in_several_tables():
    raw = table()
    raw["bureau"] = [raw["bureau"], raw["bureau"] | {"name": "Second Agency"}]
    raw["score"] = [raw["score"], raw["score"] | {"provider": "Second Agency", "low": 250, "high": 900}]
    config = config_from(raw)
    assert [one.name for one in config.bureaus][1] == config.scores[1].provider == "Second Agency"
    assert (config.scores[1].low, config.scores[1].high) == (250, 900)
    raw["bureau"] = [raw["bureau"][0]] * 2
    with pytest.raises(ConfigError, match="the same name"):
        config_from(raw)


@cache
def appendix_a():
    text = "".join(ElementTree.parse(shared_data("regulations/reg_b_1002.xml")).getroot().itertext())
    text = " ".join(text.split()).lower()
    start = text.index("the following list indicates the federal agency or agencies")
    return text[start : start + 4_000]


@pytest.mark.parametrize("kind", sorted(agencies()))
def test_every_creditor_of_appendix_a_has_its_row(kind):
    one = agencies()[kind]
    names = {
        "3": "air carriers",
        "4": "creditors subject to surface transportation board",
        "5": "creditors subject to packers and stockyards act",
        "6": "small business investment companies",
        "7": "brokers and dealers",
        "8": "federal land banks, federal land bank associations",
        "9": "retailers, finance companies, and all other creditors not listed above",
    }
    assert names.get(one.item, "") in appendix_a()
    assert one.since == date(2024, 3, 20)


def test_no_item_of_appendix_a_is_without_a_row():
    wanted = {"1", "2.a", "2.b", "2.c", "2.d", "3", "4", "5", "6", "7", "8", "9"}
    assert {one.item for one in agencies().values()} == wanted


def test_a_state_credit_union_is_one_of_all_other_creditors():
    found = agencies()
    assert found["state_credit_union"].offices == found["finance_company"].offices
    assert found["state_credit_union"].item == "9"


def test_offices_that_moved_in_2023_are_not_where_the_old_text_has_them():
    for kind in (
        "national_bank",
        "air_carrier",
        "surface_transportation",
        "small_business_investment_company",
    ):
        for office in agencies()[kind].offices:
            assert office[-2].lower() not in appendix_a()


PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def written(folder, text=""):
    raw = (files("lendsafe.notice") / "demo.toml").read_text("utf-8")
    path = folder / "lender.toml"
    path.write_text(raw.replace('office = "Consumer Lending"', f'office = "Consumer Lending"\n{text}'))
    return path


def test_logo_and_signature_are_read_from_beside_the_file(tmp_path):
    (tmp_path / "logo.png").write_bytes(PIXEL)
    config = read_config(written(tmp_path, 'logo = "logo.png"'))
    assert config.logo.kind == "png"
    assert config.logo.alt == "Specimen Federal Credit Union"
    assert config.signature is None


@pytest.mark.parametrize("content", [None, b"", b"<svg/>", PIXEL + bytes(300_000)])
def test_what_is_no_picture_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "logo.png").write_bytes(content)
    with pytest.raises(ConfigError, match=r"logo\.png"):
        read_config(written(tmp_path, 'logo = "logo.png"'))


def test_a_translation_is_read_from_beside_the_file(tmp_path):
    (tmp_path / "es.toml").write_text(
        'language = "es"\ntitle = "En español"\n'
        '[texts]\ndate = "{notice_date}"\n[sha256]\ndate = "0"\n[phrases]\n"Questions" = "Preguntas"\n'
    )
    path = written(tmp_path)
    path.write_text('translation = "es.toml"\n' + path.read_text())
    assert read_config(path).translation.phrases == {"Questions": "Preguntas"}


def test_the_demonstration_is_marked_as_a_specimen():
    assert demo_config().specimen
