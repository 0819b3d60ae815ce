"""One field is default, help, range, flag and TOML key; every mistake is named, all at once."""

from dataclasses import dataclass, fields
from typing import Any, Literal

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lendsafe.cli.options import settings, settings_options
from lendsafe.corpus.config import SynthConfig
from lendsafe.errors import ConfigError, DataError
from lendsafe.fields import build, did_you_mean, knob, problems, read_toml
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.pipeline.settings import EvalConfig, GenerateConfig
from lendsafe.product import consumer
from lendsafe.records import Style
from lendsafe.risk.config import RiskConfig

KINDS = [TrainConfig, SynthConfig, EvalConfig, GenerateConfig, RiskConfig, Style]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """Part of another record."""

    size: int = knob(help="How large.", low=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One field of every kind."""

    name: str = knob(help="Required.")
    rate: float = knob(0.5, "A share.", unit="percent", low=0, high=1)
    count: int = knob(3, "At least one.", low=1)
    least: int = knob(0, "At most nine.", high=9)
    flag: bool = knob(False, "On or off.")
    mode: Literal["fast", "slow"] = knob("fast", "How.")
    words: tuple[str, ...] = knob(("a", "b"), "Some words.")
    maybe: int | None = knob(None, "Perhaps.", low=1)
    inner: Inner | None = knob(None, "A part.")
    parts: tuple[Inner, ...] = knob((), "Several parts.")


def said(**table: Any) -> list[str]:
    return [str(one) for one in problems(Example, {"name": "x"} | table)]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rate": 1.5}, "'rate' is 1.5; expected from 0 to 1 percent"),
        ({"rate": -0.1}, "'rate' is -0.1; expected from 0 to 1 percent"),
        ({"count": 0}, "'count' is 0; expected at least 1"),
        ({"least": 10}, "'least' is 10; expected at most 9"),
        ({"rate": float("nan")}, "'rate' is nan; expected a finite number"),
        ({"rate": float("inf")}, "'rate' is inf; expected a finite number"),
        ({"rate": "0.5"}, "'rate' is '0.5'; expected a number"),
        ({"rate": True}, "'rate' is True; expected a number"),
        ({"count": 1.0}, "'count' is 1.0; expected a whole number"),
        ({"count": True}, "'count' is True; expected a whole number"),
        ({"flag": 1}, "'flag' is 1; expected true or false"),
        ({"mode": "medium"}, "'mode' is 'medium'; expected one of fast, slow"),
        ({"words": "ab"}, "'words' is 'ab'; expected a list of text"),
        ({"words": [1]}, "'words' is [1]; expected a list of text"),
        ({"maybe": 0}, "'maybe' is 0; expected at least 1"),
        ({"maybe": "x"}, "'maybe' is 'x'; expected a whole number or nothing"),
        ({"name": None}, "'name' is None; expected text"),
        ({"parts": 5}, "'parts' is 5; expected a list of objects"),
        ({"parts": [{"size": -1}]}, "'parts.size' is -1; expected at least 0"),
        ({"parts": [{"sise": 1}]}, "'parts.sise' is an unknown key. Did you mean 'size'?"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_is_expected(table, message):
    assert message in said(**table)


def test_values_that_fit():
    table = {"rate": 1, "count": 1, "flag": True, "mode": "slow", "words": ["x"], "maybe": None}
    assert said(**table) == []
    made = build(Example, {"name": "x", "parts": [{"size": 2}], **table})
    assert made.parts == (Inner(size=2),)
    assert made.words == ("x",)  # immutable, like everything in a record


def test_all_problems_are_raised_at_once_with_the_place():
    with pytest.raises(DataError) as caught:
        build(Example, {"rate": 2, "coun": 1}, "rows.csv:3", DataError)
    assert str(caught.value) == (
        "rows.csv:3: 'coun' is an unknown key. Did you mean 'count'?; 'name' is missing; "
        "'rate' is 2; expected from 0 to 1 percent"
    )


def test_values_about_a_person_can_be_left_out_of_messages():
    found = problems(Example, {"name": "x", "count": "078-05-1120", "rate": 7}, quote=False)
    assert [str(one) for one in found] == [
        "'rate' cannot be used; expected from 0 to 1 percent",
        "'count' cannot be used; expected a whole number",
    ]


def test_did_you_mean():
    assert did_you_mean("learning_rat", ["rank", "learning_rate"]) == " Did you mean 'learning_rate'?"
    assert did_you_mean("zzz", ["rank"]) == ""


@given(
    st.dictionaries(
        st.sampled_from([f.name for f in fields(Example)] + ["x"]),
        st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    )
)
def test_a_table_is_either_built_or_refused_with_every_problem(table):
    found = problems(Example, table)
    if found:
        with pytest.raises(ConfigError) as caught:
            build(Example, table)
        assert all(str(one) in str(caught.value) for one in found)
    else:
        build(Example, table)


# ---------------------------------------------------------------- flag == field == TOML key


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_is_a_flag_with_its_help_and_default(kind):
    @click.command()
    @settings_options(kind)
    def command(**given):
        pass

    flags = {one.name: one for one in command.params}
    assert list(flags) == [f.name for f in fields(kind) if f.metadata.get("help")]
    assert all(f.metadata.get("help") for f in fields(kind)), "a field without help is no setting"
    for f in fields(kind):
        option = flags[f.name]
        assert f"--{f.name.replace('_', '-')}" in option.opts
        assert option.help.startswith(f.metadata["help"])
        assert option.default is None or not isinstance(
            option.default, int | float
        )  # the field's default alone counts


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_defaults_are_in_range_and_frozen(kind):
    made = build(kind, {})
    assert problems(kind, {f.name: getattr(made, f.name) for f in fields(kind)}) == []
    with pytest.raises(AttributeError):
        setattr(made, fields(kind)[0].name, None)


def test_every_field_is_a_toml_key(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('rate = 0.25\ncount = 5\nwords = ["x", "y"]\nmode = "slow"\nflag = true\nname = "n"\n')
    made = settings(Example, {}, path)
    assert (made.rate, made.count, made.words, made.mode, made.flag) == (0.25, 5, ("x", "y"), "slow", True)


def test_flag_wins_over_file_over_recipe_over_default(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("rank = 4\nepochs = 5\n")
    given = {"rank": 2, "epochs": None, "alpha": None, "out": "kept"}
    made = settings(TrainConfig, given, path, {"alpha": 7.0, "epochs": 9, "seed": 1})
    assert (made.rank, made.epochs, made.alpha, made.seed, made.batch_size) == (2, 5, 7.0, 1, 4)
    assert given == {"out": "kept"}


def test_the_recipe_of_the_first_system_is_the_default():
    made = TrainConfig()
    assert (made.rank, made.alpha, made.dropout) == (16, 32, 0.05)
    assert made.targets == ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert (made.batch_size, made.grad_accum, made.learning_rate, made.warmup(255)) == (4, 4, 2e-4, 100)
    assert (made.epochs, made.max_length, made.save_every, made.weight_decay) == (3, 512, 200, 0)
    assert made.clip_norm == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rank = ", "c.toml: not TOML"),
        ("a = 1\na = 2", "c.toml: not TOML"),
        ("a = " + "[" * 9_000, "c.toml: not TOML"),
    ],
)
def test_a_file_that_is_not_toml(tmp_path, text, message):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_toml(tmp_path / "c.toml")


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not TOML"):
        read_toml(tmp_path / "c.toml")
    with pytest.raises(ConfigError, match="No such file"):
        read_toml(tmp_path / "none.toml")


def test_every_number_of_the_consumer_product_has_a_range():
    for one in consumer().features:
        if one.numeric and one.formula is None:
            assert one.low is not None, one.name
            assert one.high is not None, one.name
