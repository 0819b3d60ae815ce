"""What LendSafe writes, PEFT and transformers compute the same with; and the way back is bit-equal."""

import json
import warnings

import numpy as np
import pytest
from model_folders import (
    adapted,
    assert_same_arrays,
    mlx_logits,
    model_folder,
    numpy_arrays,
    run_folder,
    torch_logits,
)

from lendsafe.errors import RefusedError
from lendsafe.mlx_lora.exchange import adapter, foreign, loading
from lendsafe.mlx_lora.exchange.export import export

peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-5
KINDS = [
    ("granitemoe", ("attention",)),
    ("granitemoe", ("experts",)),
    ("granitemoe", ("router",)),
    ("granitemoe", ("gate_proj",)),
    ("granitemoe", ("up_proj", "down_proj", "q_proj")),
    ("granitemoe", ("all",)),
    (
        "granitemoe",
        ("model.layers.1.block_sparse_moe.switch_mlp.down_proj", "model.layers.2.self_attn.k_proj"),
    ),
    ("granite", ("all",)),
    ("granitemoehybrid", ("all",)),
    ("qwen3_moe", ("all",)),
    ("llama", ("all",)),
    ("qwen3", ("all",)),
]


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Model folders by architecture, each made once."""
    made = {}

    def base(architecture):
        if architecture not in made:
            made[architecture] = model_folder(tmp_path_factory.mktemp(architecture), architecture)
        return made[architecture]

    return base


def in_transformers(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder)


def in_peft(folder, adapter_folder):
    """PEFT's model, and the warnings that loading it gave about names."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = peft.PeftModel.from_pretrained(in_transformers(folder), adapter_folder)
    texts = [str(one.message) for one in said]
    return model, [t for t in texts if "issing" in t or "did not match" in t or "nexpected keys" in t]


@pytest.mark.parametrize(
    "architecture", ["granitemoe", "granite", "granitemoehybrid", "qwen3_moe", "llama", "qwen3"]
)
def test_our_forward_pass_is_that_of_transformers(bases, architecture):
    ours = mlx_logits(loading.load(str(bases(architecture))).model)
    np.testing.assert_allclose(ours, torch_logits(in_transformers(bases(architecture))), atol=1e-4)


@pytest.mark.parametrize(("architecture", "targets"), KINDS)
def test_the_run_folder_computes_the_same_in_peft_also_merged(bases, tmp_path, architecture, targets):
    folder = bases(architecture)
    ours = mlx_logits(run_folder(folder, tmp_path / "run", *targets).model)
    model, complaints = in_peft(folder, tmp_path / "run")
    assert not complaints
    assert np.abs(ours - torch_logits(in_transformers(folder))).max() > 1e-3  # the adapter does something
    np.testing.assert_allclose(torch_logits(model), ours, atol=TOLERANCE)
    np.testing.assert_allclose(torch_logits(model.merge_and_unload()), ours, atol=TOLERANCE)


def test_peft_adapts_exactly_what_we_adapted(bases, tmp_path):
    folder = bases("granitemoe")
    run_folder(folder, tmp_path / "run", "q_proj", "experts")
    model, _ = in_peft(folder, tmp_path / "run")
    wrapped = {n for n, _ in model.named_modules() if n.endswith("lora_A")}
    assert len(wrapped) == 3 * 3  # in each of 3 blocks q, fused gate and up, down


def test_rslora_keeps_its_scale_in_peft(bases, tmp_path):
    folder = bases("granitemoe")
    ours = mlx_logits(run_folder(folder, tmp_path / "run", "all", rslora=True).model)
    model, _ = in_peft(folder, tmp_path / "run")
    np.testing.assert_allclose(torch_logits(model), ours, atol=TOLERANCE)


def test_dropout_is_zero_where_peft_cannot_have_any(bases, tmp_path):
    run_folder(bases("granitemoe"), tmp_path / "with", "experts", dropout=0.1)
    run_folder(bases("granitemoe"), tmp_path / "without", "attention", dropout=0.1)
    assert adapter.read_config(tmp_path / "with")["lora_dropout"] == 0
    assert adapter.read_config(tmp_path / "without")["lora_dropout"] == 0.1


@pytest.mark.parametrize("version", [5, 4])
@pytest.mark.parametrize("targets", [("attention",), ("experts",), ("up_proj",), ("router",), ("all",)])
def test_ours_to_peft_to_ours_is_bit_equal(bases, tmp_path, targets, version):
    folder = bases("granitemoe")
    before = numpy_arrays(run_folder(folder, tmp_path / "run", *targets, dropout=0.0))
    export(tmp_path / "run", tmp_path / "peft", "peft", transformers=version)
    base = loading.load(str(folder))
    foreign.import_adapter(tmp_path / "peft", base, tmp_path / "back")
    assert_same_arrays(numpy_arrays(base), before)


def test_ours_through_peft_itself_is_bit_equal(bases, tmp_path):
    folder = bases("granitemoe")
    before = numpy_arrays(run_folder(folder, tmp_path / "run", "all"))
    model, _ = in_peft(folder, tmp_path / "run")
    model.save_pretrained(tmp_path / "peft")  # written by PEFT, with every key that it knows
    base = loading.load(str(folder))
    config = foreign.import_adapter(tmp_path / "peft", base, tmp_path / "back")
    assert (config.rank, config.alpha) == (4, 8.0)
    assert_same_arrays(numpy_arrays(base), before)


def test_names_of_transformers_4_are_those_of_its_modules(bases, tmp_path):
    run_folder(bases("granitemoe"), tmp_path / "run", "all")
    export(tmp_path / "run", tmp_path / "peft", "peft", transformers=4)
    names = foreign.adapter.read_arrays(tmp_path / "peft" / adapter.PEFT_FILE)
    prefix = "base_model.model.model.layers.0.block_sparse_moe"
    shapes = {n.removeprefix(prefix + "."): tuple(a.shape) for n, a in names.items() if n.startswith(prefix)}
    assert (
        shapes
        == {  # 8 experts of rank 4; gate and up, 48 rows each, fused to rank 8; down filled up to it
            "input_linear.lora_A.weight": (64, 64),
            "input_linear.lora_B.weight": (96, 64),
            "output_linear.lora_A.weight": (64, 48),
            "output_linear.lora_B.weight": (64, 64),
            "router.layer.lora_A.weight": (4, 64),
            "router.layer.lora_B.weight": (8, 4),
        }
    )


def test_experts_that_peft_has_no_place_for_are_written_for_mlx_alone_and_refused_by_name(bases, tmp_path):
    run_folder(bases("qwen3_moe"), tmp_path / "run", "experts")
    with pytest.raises(RefusedError, match=r"switch_mlp.*transformers 4"):
        export(tmp_path / "run", tmp_path / "peft", "peft", transformers=4)


def trained_in_peft(folder, out, **settings):
    """An adapter that PEFT made, with random factors; the logits it gives there."""
    import torch

    config = peft.LoraConfig(task_type="CAUSAL_LM", **settings)
    model = peft.get_peft_model(in_transformers(folder), config)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.05)
    model.save_pretrained(out)
    return torch_logits(model.eval())


FUSED = {"target_parameters": ["experts.gate_up_proj", "experts.down_proj", "router.weight"]}
TRAINED = {
    "attention": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], "lora_dropout": 0.1},
    "rsLoRA": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "use_rslora": True},
    "experts": {"r": 3, "lora_alpha": 5, "target_modules": ["k_proj"], **FUSED},
    "rank_pattern": {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "o_proj"],
        "rank_pattern": {"o_proj": 7},
    },
    "alpha_pattern": {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "o_proj", "v_proj"],
        "alpha_pattern": {"^model.layers.1.self_attn.o_proj": 3},
    },
    "all patterns, experts, rsLoRA": {
        "r": 4,
        "lora_alpha": 6,
        "target_modules": ["q_proj"],
        "use_rslora": True,
        "rank_pattern": {"experts.gate_up_proj": 5, "q_proj": 2},
        "alpha_pattern": {"experts.down_proj": 9},
        **FUSED,
    },
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("settings", TRAINED.values(), ids=TRAINED)
def test_what_peft_trained_computes_the_same_here_and_goes_back(bases, tmp_path, settings):
    folder = bases("granitemoe")
    expected = trained_in_peft(folder, tmp_path / "peft", **settings)
    base = loading.load(str(folder))
    foreign.import_adapter(tmp_path / "peft", base, tmp_path / "run")
    np.testing.assert_allclose(mlx_logits(base.model), expected, atol=TOLERANCE)
    model, complaints = in_peft(folder, tmp_path / "run")
    assert not complaints
    np.testing.assert_allclose(torch_logits(model), expected, atol=TOLERANCE)
    before = numpy_arrays(base)
    export(tmp_path / "run", tmp_path / "again", "peft")
    foreign.import_adapter(tmp_path / "again", base, tmp_path / "back")
    assert_same_arrays(numpy_arrays(base), before)


def test_experts_of_a_peft_before_0_19_have_input_and_output_swapped(bases, tmp_path):
    folder = bases("granitemoe")
    before = numpy_arrays(run_folder(folder, tmp_path / "run", "experts"))
    export(tmp_path / "run", tmp_path / "old", "peft")
    tensors = {n: np.array(a) for n, a in adapter.read_arrays(tmp_path / "old" / adapter.PEFT_FILE).items()}
    experts, swapped = 8, {}
    for name in tensors:
        other = tensors[
            name.replace("lora_A", "lora_#").replace("lora_B", "lora_A").replace("lora_#", "lora_B")
        ]
        if "lora_A" in name:  # (E R, O) from (O, R E)
            swapped[name] = other.reshape(len(other), -1, experts).transpose(2, 1, 0).reshape(-1, len(other))
        else:  # (I, R E) from (E R, I)
            inputs = other.shape[1]
            swapped[name] = other.reshape(experts, -1, inputs).transpose(2, 1, 0).reshape(inputs, -1)
    adapter.write_tensors(tmp_path / "old" / adapter.PEFT_FILE, swapped)
    config = adapter.read_config(tmp_path / "old") | {"peft_version": "0.18.1"}
    (tmp_path / "old" / adapter.CONFIG).write_text(json.dumps(config))
    base = loading.load(str(folder))
    foreign.import_adapter(tmp_path / "old", base, tmp_path / "back")
    assert_same_arrays(numpy_arrays(base), before)


def test_an_untrained_adapter_survives_the_round_trip(bases, tmp_path):
    folder = bases("granitemoe")
    base, config = adapted(folder, "all")
    for layer in adapter.targets.adapters(base.model).values():
        layer.lora_b = layer.lora_b * 0
    (tmp_path / "run").mkdir()
    adapter.save(tmp_path / "run", base.model, config, base)
    before = numpy_arrays(base)
    foreign.import_adapter(tmp_path / "run", base, tmp_path / "back")
    assert_same_arrays(numpy_arrays(base), before)


def test_transformers_itself_loads_the_run_folder(bases, tmp_path):
    folder = bases("granitemoe")
    ours = mlx_logits(run_folder(folder, tmp_path / "run", "all").model)
    model = in_transformers(folder)
    model.load_adapter(str(tmp_path / "run"))
    np.testing.assert_allclose(torch_logits(model), ours, atol=TOLERANCE)
