"""What the planner says before a run is what happens in it."""

import json
from dataclasses import replace

import mlx.core as mx
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from small_granite import small_config, small_model

from lendsafe.errors import ConfigError, TooLargeError
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange import loading
from lendsafe.mlx_lora.exchange.loading import named_arrays
from lendsafe.mlx_lora.exchange.targets import add_adapters, count_parameters
from lendsafe.mlx_lora.planning import footprint, plan
from lendsafe.mlx_lora.runs.examples import tokenize
from lendsafe.pipeline import planning
from lendsafe.records import Message

GIB = 1024**3
SHAPE = footprint.shape_of("granite-3.1-3b")
RECIPE = TrainConfig()
LENGTHS = plan.Lengths(tokens=(512,) * 64, learned=(200,) * 64)
M2 = {gib: plan.mac("M2", gib * GIB) for gib in (8, 16, 24)}


def test_the_published_model_has_the_published_number_of_parameters():
    assert footprint.parameters(SHAPE) == 3_298_793_472
    assert footprint.weight_bytes(SHAPE, 2, None) == pytest.approx(6.60e9, rel=1e-3)
    # 4.5 bits a weight, 8.5 for o_proj, router and the experts' down_proj, as mlx-lm's rule for this family has it.
    assert footprint.weight_bytes(SHAPE, 2, 4) == pytest.approx(2.40e9, rel=1e-2)


def test_the_recipe_trains_the_published_number_of_parameters():
    assert footprint.adapter_parameters(SHAPE, RECIPE) == 5_242_880
    assert footprint.adapter_parameters(SHAPE, TrainConfig(targets=("experts",))) == pytest.approx(
        125.8e6, rel=1e-3
    )
    assert footprint.adapter_parameters(SHAPE, TrainConfig(targets=("router",))) == pytest.approx(
        0.81e6, rel=1e-2
    )


@pytest.mark.parametrize("architecture", ["granitemoe", "granite"])
@pytest.mark.parametrize(
    "targets", [("attention",), ("experts",), ("all",), RECIPE.targets, ("q_proj", "router")]
)
def test_parameters_are_counted_as_the_model_has_them(architecture, targets):
    config = small_config(architecture)
    if architecture == "granite":
        config = {
            k: v for k, v in config.items() if not k.startswith("num_local") and k != "num_experts_per_tok"
        }
        if {"experts", "router"} & set(targets):
            return
    model = small_model(architecture)
    assert footprint.parameters(config) == count_parameters(model)
    recipe = TrainConfig(rank=3, targets=targets)
    added = add_adapters(model, recipe).trainable
    if targets != ("all",):  # "all" also names layers that no formula needs to know
        assert footprint.adapter_parameters(config, recipe) == added


def test_weights_take_as_many_bytes_as_predicted():
    model = small_model()
    held = sum(array.nbytes for array in named_arrays(model.parameters()).values())
    assert footprint.weight_bytes(small_config(), 4, None) == held


@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_weights_take_as_many_bytes_as_predicted(bits):
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2, "num_key_value_heads": 1}
    model = small_model(**sizes)
    model.set_dtype(mx.float16)
    loading._quantize(model, bits, 64)
    held = sum(array.nbytes for array in named_arrays(model.parameters()).values())
    assert footprint.weight_bytes(small_config(**sizes), 2, bits) == held


@pytest.mark.parametrize(("gib", "base"), [(8, 4), (16, None), (24, None)])
def test_the_macs_that_the_recipe_is_meant_for_can_train_the_published_model(gib, base):
    found = plan.check_fits(SHAPE, replace(RECIPE, quantize=base), LENGTHS, M2[gib])
    assert found.fits
    assert found.config.precision == "float16"
    assert found.peak <= {8: 4.0e9, 16: 8.2e9, 24: 12.0e9}[gib]


def test_what_a_run_may_use_on_a_mac_leaves_room_for_everything_else():
    """min(0.8 x recommended, physical - 3.5 GB) - 0.6 GB; two thirds are recommended, from 36 GB on three quarters."""
    assert M2[8].usable == pytest.approx(min(0.8 * 8 * GIB * 2 / 3, 8 * GIB - 3.5e9) - 0.6e9, abs=2)
    assert plan.mac("M3 Pro", 36 * GIB).usable == pytest.approx(0.8 * 27 * GIB - 0.6e9, abs=2)
    assert plan.mac("M1", 4 * GIB).usable == pytest.approx(4 * GIB - 4.1e9, abs=2)
    assert plan.mac("M1", GIB).usable == 0


@pytest.mark.parametrize("gib", [8, 16, 24])
def test_limits_keep_the_run_inside_what_it_may_use(gib):
    found = plan.check_fits(SHAPE, replace(RECIPE, quantize=4), LENGTHS, M2[gib])
    limits = found.limits
    assert limits.wired == found.peak
    assert limits.memory == found.usable >= limits.wired + limits.cache
    assert limits.cache >= 0


def test_launches_keep_small_budgets_from_looking_free():
    def seconds(budget):
        return plan.predict(SHAPE, replace(RECIPE, token_budget=budget), LENGTHS, M2[24]).seconds

    assert seconds(512) > 1.05 * seconds(8192)


@pytest.mark.parametrize("chip", ["M5", "M5 Pro", "M5 Max"])
def test_the_newest_chips_are_known(chip):
    assert plan.mac(chip, 32 * GIB).flops > 0


def test_half_precision_does_not_fit_into_8_gb_and_the_refusal_says_what_does():
    with pytest.raises(
        TooLargeError, match=r"needs 8\.\d GB; 4\.0 GB may be used on Apple M2, 8 GB"
    ) as refused:
        plan.check_fits(SHAPE, RECIPE, LENGTHS, M2[8])
    assert "This fits: --quantize 4" in str(refused.value)
    assert refused.value.exit_code == 7


def test_a_model_that_fits_nowhere_is_refused():
    with pytest.raises(TooLargeError, match="Nothing fits"):
        plan.check_fits(SHAPE, RECIPE, LENGTHS, plan.mac("M1", GIB))


@given(st.integers(4, 64))
@settings(max_examples=20, deadline=None)
def test_more_memory_never_fits_less_and_is_never_slower(gib):
    smaller, larger = (
        plan.plan(SHAPE, RECIPE, LENGTHS, plan.mac("M2", size * GIB)) for size in (gib, 2 * gib)
    )
    assert larger.fits >= smaller.fits
    if smaller.fits:
        assert larger.seconds <= smaller.seconds * plan.NEAR


@given(st.sampled_from(["none", "experts", "layer"]), st.integers(512, 8192))
@settings(max_examples=20, deadline=None)
def test_recomputing_and_smaller_budgets_never_need_more(recompute, budget):
    def peak(**changes):
        return plan.predict(SHAPE, replace(RECIPE, **changes), LENGTHS, M2[16]).peak

    less = {"none": "none", "experts": "none", "layer": "experts"}[recompute]
    assert peak(recompute=recompute, token_budget=budget) <= peak(recompute=less, token_budget=budget)
    assert peak(recompute=recompute, token_budget=budget) <= peak(
        recompute=recompute, token_budget=2 * budget
    )


def test_what_is_fixed_is_not_changed():
    fixed = replace(RECIPE, token_budget=700, recompute="experts", precision="bfloat16")
    assert plan.plan(SHAPE, fixed, LENGTHS, M2[16]).config == fixed


def test_a_choice_does_not_change_from_one_start_to_the_next():
    machines = [plan.this_machine(measure=False) for _ in range(2)]
    assert machines[0] == machines[1]


def test_other_architectures_are_not_predicted():
    assert not plan.knows({"model_type": "mamba2"})
    with pytest.raises(ConfigError, match=r"'mamba2' cannot be predicted; known are .*llama"):
        plan.plan({"model_type": "mamba2"}, RECIPE, LENGTHS, M2[8])


@pytest.mark.parametrize(("text", "gib"), [("8GB", 8), ("16", 16), ("24 GiB", 24), ("0.5g", 0.5)])
def test_memory_is_read_in_the_usual_spellings(text, gib):
    assert plan.bytes_of(text) == gib * GIB


@pytest.mark.parametrize("text", ["", "eight", "-8GB", "0", "8TB", "nan", "inf"])
def test_what_is_no_memory_size_is_refused(text):
    with pytest.raises(ConfigError, match="no memory size"):
        plan.bytes_of(text)


@pytest.mark.parametrize("count", [3, pytest.param(30, marks=pytest.mark.soak)])
def test_the_peak_of_real_steps_is_within_15_percent_and_not_more_than_10_under(count):
    """The configurations of ``python -m bench memory``; the coefficients were fitted on others (seed 11)."""
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from bench.memory import compare, configurations

    for shape, config, window in configurations(count):
        assert -0.10 <= compare(shape, config, window).error <= 0.15


@pytest.mark.parametrize(
    "given", [{}, {"turns": "all"}, {"max_length": 200}, {"max_length": 200, "overlong": "drop"}], ids=str
)
@pytest.mark.parametrize("own", [False, True], ids=["the model's template", "another template"])
def test_the_planner_counts_the_tokens_that_the_run_trains_on(given, own):
    base = loading.load("granite-tiny")
    template = f"{'What follows is a loan. ' * 9}{base.template}" if own else None
    asked, told = Message("user", "How is my debt?"), Message("assistant", "It is high.")
    talks = [[asked, told], [asked, told] * 2, [asked, Message("assistant", "It is high. " * 200)]]
    config = TrainConfig(**given)
    counted = planning.encoded(base.path, config, talks, template)
    trained_on = tokenize(base.speak(template=template), talks, config)
    assert [len(one) for one in counted] == [len(one) for one in trained_on]


def run(*arguments):
    from lendsafe.cli import group

    return CliRunner().invoke(group, ["plan", *arguments])


def test_the_command_says_what_fits_on_a_mac_that_is_not_at_hand():
    done = run("--memory", "8GB", "--chip", "M2")
    assert done.exit_code == 0
    lines = {line.split()[0]: line for line in done.output.splitlines() if line[:1].isalnum()}
    assert " no" in lines["float16"]
    assert "chosen: lendsafe train --quantize 4" in done.output
    assert "yes" in lines["4"]


def test_the_command_prints_json():
    found = json.loads(run("--memory", "16GB", "--chip", "M3 Pro", "--json").output)
    assert found["choice"] == 0
    assert found["options"][0]["base"] == "float16"
    assert found["steps"] == 255
    assert sum(found["parts"].values()) == found["options"][0]["peak_bytes"]


def test_a_wrong_machine_ends_in_one_line():
    for arguments, what in (
        (("--memory", "8GB"), "belong together"),
        (("--memory", "8GB", "--chip", "M2Pro"), "Did you mean 'M2 Pro'"),
    ):
        done = run(*arguments)
        assert isinstance(done.exception, ConfigError)
        assert what in str(done.exception)
