"""A base is found, checked before MLX reads it, and cast or quantised without ever being whole in float32."""

import json
import random
import re
import shutil

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from model_folders import TOKENS, folder_config, mlx_logits, model_folder, torch_logits
from safetensors.numpy import load_file, save_file

from lendsafe.errors import ConfigError, OfflineError, RefusedError
from lendsafe.mlx_lora.config import LoraConfig
from lendsafe.mlx_lora.exchange import loading
from lendsafe.mlx_lora.exchange.targets import add_adapters
from lendsafe.mlx_lora.step.loss import loss_sum
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return model_folder(tmp_path_factory.mktemp("base"), intermediate_size=64)


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """25 million float32 weights, the embedding and the experts the largest tensors, and no tokenizer."""
    config = folder_config(
        hidden_size=256, intermediate_size=256, num_hidden_layers=4, num_local_experts=16, vocab_size=16384
    )
    path = tmp_path_factory.mktemp("large")
    (path / "config.json").write_text(json.dumps(config))
    rng = np.random.default_rng(0)
    found = {}
    for name, array in loading.named_arrays(loading.empty_model(config).parameters()).items():
        found[name] = rng.standard_normal(array.shape, np.float32)
    for layer in range(4):
        stem = f"model.layers.{layer}.block_sparse_moe"
        halves = [found.pop(f"{stem}.switch_mlp.{one}_proj.weight") for one in ("gate", "up")]
        found[f"{stem}.input_linear.weight"] = np.concatenate(halves, axis=1)
        found[f"{stem}.output_linear.weight"] = found.pop(f"{stem}.switch_mlp.down_proj.weight")
    save_file(found, path / WEIGHTS)
    return path


@pytest.mark.parametrize(
    ("precision", "bits"), [("float32", None), ("float16", None), ("float16", 8), ("float16", 4)]
)
def test_loading_takes_the_final_size_plus_the_largest_tensor_and_a_tenth(large, precision, bits):
    config = loading.read_config(large)
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    model = loading.load_model(large, config, precision=precision, quantize=bits)
    peak = mx.get_peak_memory() - before
    final = sum(array.nbytes for array in loading.named_arrays(model.parameters()).values())
    largest = max(4 * array.size for array in loading.read_weights(large).values())
    assert peak <= 1.1 * (final + largest)


def test_precision_casts_every_weight(folder):
    model = loading.load(str(folder), precision="float16").model
    assert {array.dtype for array in loading.named_arrays(model.parameters()).values()} == {mx.float16}


@pytest.mark.parametrize(("bits", "closeness"), [(8, 0.02), (4, 0.3)])
def test_a_quantised_base_computes_about_the_same(folder, bits, closeness):
    exact = mlx_logits(loading.load(str(folder)).model)
    coarse = mlx_logits(loading.load(str(folder), quantize=bits).model)
    assert 0 < np.linalg.norm(coarse - exact) / np.linalg.norm(exact) < closeness


@pytest.mark.parametrize("bits", [4, 8])
def test_adapters_train_on_a_quantised_base(folder, bits):
    model = loading.load(str(folder), quantize=bits).model
    assert isinstance(model.model.layers[0].self_attn.q_proj, nn.QuantizedLinear)
    add_adapters(model, LoraConfig(rank=2, targets=("all",)))
    batch = [Tokens(np.arange(3, 15, dtype=np.int32), 6)]
    _, grads = nn.value_and_grad(model, lambda: loss_sum(model, batch, Techniques()))()
    found = loading.named_arrays(grads)
    assert all(bool(mx.isfinite(array).all()) for array in found.values())
    assert all(bool(array.any()) for name, array in found.items() if "self_attn" in name and "lora_b" in name)


def test_a_base_that_mlx_lm_quantised_is_loaded_as_it_was(folder, tmp_path):
    import mlx_lm

    mlx_lm.convert(
        str(folder), str(tmp_path / "mlx"), quantize=True, q_bits=4, q_group_size=32, dtype="float32"
    )
    theirs, _ = mlx_lm.load(str(tmp_path / "mlx"))
    np.testing.assert_array_equal(mlx_logits(loading.load(str(tmp_path / "mlx")).model), mlx_logits(theirs))


@pytest.mark.parametrize("bits", [None, 4])
def test_no_weight_is_a_view_of_another(tmp_path, bits):
    """CUDA's grouped product takes strides from the shape: halves of one stored tensor must be copies."""
    config = folder_config(hidden_size=64, intermediate_size=64)
    path = model_folder(tmp_path / "base", **config)
    stored = loading.read_weights(path)
    assert any(name.endswith("input_linear.weight") for name in stored)  # gate and up in one
    base = loading.load(str(path), precision="float32", quantize=bits)
    for name, array in loading.named_arrays(base.model.parameters()).items():
        assert memoryview(array).c_contiguous, name


QUANTISED = [("affine", bits, 64) for bits in (2, 3, 4, 5, 6, 8)] + [
    ("mxfp4", 4, 32),
    ("mxfp8", 8, 32),
    ("nvfp4", 4, 16),
]


@pytest.mark.parametrize(("mode", "bits", "group_size"), QUANTISED)
@pytest.mark.parametrize("architecture", ["llama", "granitemoe"])
def test_a_base_quantised_in_any_mode_is_loaded_as_it_was_and_trained_on(
    tmp_path, architecture, mode, bits, group_size
):
    """As mlx-lm writes it, in bfloat16; on the CPU the rest is computed in float32, where its experts work."""
    config = folder_config(architecture, hidden_size=64, intermediate_size=64, num_hidden_layers=1)
    model = loading.empty_model(config)
    model.set_dtype(mx.bfloat16)
    nn.quantize(model, group_size, bits, mode=mode)
    mx.eval(model.parameters())
    mx.save_safetensors(str(tmp_path / WEIGHTS), loading.named_arrays(model.parameters()))
    table = {"group_size": group_size, "bits": bits, "mode": mode}
    (tmp_path / "config.json").write_text(json.dumps(config | {"quantization": table}))
    found = loading.load_model(tmp_path, loading.read_config(tmp_path), precision="float32", quantize=None)
    expected = np.array(model(mx.array(TOKENS)).astype(mx.float32)) if architecture == "llama" else None
    got = np.array(found(mx.array(TOKENS)).astype(mx.float32))
    assert expected is None or np.linalg.norm(got - expected) < 0.05 * np.linalg.norm(expected)
    add_adapters(found, LoraConfig(rank=2, alpha=4.0, targets=("all",)))
    example = Tokens(np.arange(3, 30).astype(np.int32), 5)
    _, grads = nn.value_and_grad(found, lambda: loss_sum(found, [example], Techniques()))()
    norms = [
        float(mx.linalg.norm(g.astype(mx.float32)))
        for n, g in loading.named_arrays(grads).items()
        if "lora_b" in n
    ]
    assert norms
    assert all(0 < norm < np.inf for norm in norms)


def test_everything_is_frozen(folder):
    assert not loading.named_arrays(loading.load(str(folder)).model.trainable_parameters())


# -- finding it ------------------------------------------------------------------------------------


def test_a_model_in_the_hub_cache_is_found_offline(folder, tmp_path, monkeypatch):
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    stored = tmp_path / "models--somebody--some-model"
    shutil.copytree(folder, stored / "snapshots" / commit)
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert loading.resolve("somebody/some-model") == stored / "snapshots" / commit
    assert mlx_logits(loading.load("somebody/some-model").model).shape == (2, 17, 128)


def test_offline_without_the_model_says_what_to_fetch(tmp_path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(OfflineError, match=f"hf download {loading.GRANITE_3B}") as caught:
        loading.resolve("granite-3.1-3b")
    assert caught.value.exit_code == 9


@pytest.mark.parametrize("name", ["granite-3.2", "a/b/c", ""])
def test_a_name_that_is_no_model_is_refused_with_what_there_is(name):
    with pytest.raises(ConfigError, match=r"granite-3\.1-3b|config\.json"):
        loading.resolve(name)


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no config\.json"):
        loading.resolve(str(tmp_path))


# -- refusing it -----------------------------------------------------------------------------------


def refusal(path):
    with pytest.raises((RefusedError, ConfigError)) as caught:
        loading.load(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_code_in_the_configuration_is_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"model_file": "evil.py"}))
    assert "never done" in refusal(copy)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"model_type": "no_such_model"}, "no_such_model"),
        ({"model_type": "cache"}, "cache"),
        ({"model_type": None}, "None"),
        ({"hidden_size": "wide"}, "granitemoe"),
        ({"hidden_size": 96}, "shape"),
        ({"num_hidden_layers": 4}, "layers.3"),
        ({"num_hidden_layers": 2}, "layers.2"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused_by_name(copy, change, names):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | change))
    assert names in refusal(copy)


@pytest.mark.parametrize("content", ["", "[1]", "{", "null"])
def test_a_configuration_that_is_no_object_is_refused(copy, content):
    (copy / "config.json").write_text(content)
    assert "config.json" in refusal(copy)


def test_only_pickled_weights_are_refused_by_name(copy):
    (copy / WEIGHTS).rename(copy / "pytorch_model.bin")
    assert "pytorch_model.bin, a pickle" in refusal(copy)


def test_no_weights_are_refused(copy):
    (copy / WEIGHTS).unlink()
    assert "no model*.safetensors" in refusal(copy)


def test_a_missing_and_an_unknown_tensor_are_named(copy):
    found = load_file(copy / WEIGHTS)
    found["model.norm.extra"] = found.pop("model.norm.weight")
    save_file(found, copy / WEIGHTS)
    assert "no 'model.norm.weight' (1 missing, 1 unknown)" in refusal(copy)


@pytest.mark.parametrize("shape", [[2, -2], [65536, 65536, 65536, 16384]])
def test_headers_that_hang_or_crash_mlx_are_refused_before_it_sees_them(copy, monkeypatch, shape):
    offsets = [0, 16] if len(shape) == 2 else [0, 0]  # the product of the second wraps to 0
    header = json.dumps({"model.norm.weight": {"dtype": "F32", "shape": shape, "data_offsets": offsets}})
    (copy / WEIGHTS).write_bytes(len(header).to_bytes(8, "little") + header.encode() + b"\0" * offsets[1])
    monkeypatch.setattr(mx, "load", lambda *_: pytest.fail("MLX read the file"))
    assert "not a sound safetensors file" in refusal(copy)


def fuzz(copy, count):
    rng, path = random.Random(3), copy / WEIGHTS
    content = path.read_bytes()
    size = 8 + int.from_bytes(content[:8], "little")
    refused = 0
    for _ in range(count):
        head = bytearray(content[:size])
        for _ in range(rng.randrange(1, 4)):
            head[rng.randrange(size)] = rng.randrange(256)
        path.write_bytes(bytes(head) + content[size:])
        try:
            loading.read_weights(copy)
        except RefusedError as problem:
            assert "\n" not in str(problem)
            refused += 1
    assert refused > count / 2


def test_flipped_header_bytes_are_refused_or_harmless(copy):
    fuzz(copy, 500)


@pytest.mark.soak
def test_20000_flipped_headers_are_refused_or_harmless(copy):
    fuzz(copy, 20_000)


# -- telling bases apart ---------------------------------------------------------------------------


def test_identity_is_of_the_content_not_of_the_place(folder, copy):
    assert loading.identity(copy) == loading.identity(folder)


@pytest.mark.parametrize("file", [WEIGHTS, "config.json", "tokenizer.json", "chat_template.jinja"])
def test_identity_changes_with_one_byte_of_any_file(folder, copy, file):
    content = bytearray((copy / file).read_bytes())
    content[-2] ^= 1
    (copy / file).write_bytes(content)
    assert loading.identity(copy) != loading.identity(folder)


@pytest.mark.parametrize("stored", ["float16", "float32"])
def test_experts_that_are_stored_as_one_tensor_are_loaded_as_copies_not_views(tmp_path, stored):
    """MLX's grouped product on CUDA takes the distance between experts from their shape alone."""
    import torch
    from small_granite import small_config
    from transformers import GraniteMoeConfig, GraniteMoeForCausalLM

    model = GraniteMoeForCausalLM(GraniteMoeConfig(**small_config())).to(getattr(torch, stored))
    model.save_pretrained(tmp_path)
    config = loading.read_config(tmp_path)
    loaded = loading.load_model(tmp_path, config, precision=stored, quantize=None)
    for name, array in loading.named_arrays(loaded.parameters()).items():
        assert np.asarray(array, copy=False).flags.c_contiguous, name


# -- configurations as others write them -----------------------------------------------------------

SCALINGS = {
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
    "linear": {"rope_type": "linear", "factor": 4.0},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    "longrope": {
        "rope_type": "longrope",
        "short_factor": [1.0 + 0.1 * i for i in range(8)],
        "long_factor": [2.0 + i for i in range(8)],
        "original_max_position_embeddings": 64,
    },
}


@pytest.mark.parametrize("architecture", ["llama", "granitemoe"])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_rope_parameters_alone_say_what_transformers_computes(tmp_path, architecture, scaling):
    torch = pytest.importorskip("torch")
    config = folder_config(architecture)
    del config["rope_theta"]
    config["rope_parameters"] = SCALINGS[scaling] | {"rope_theta": 5000.0}
    path = model_folder(tmp_path / "base", architecture)
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(1)
    theirs = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config)).float().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.1)
    theirs.save_pretrained(path)
    assert "rope_theta" not in json.loads((path / "config.json").read_text())
    ours = loading.load(str(path), precision="float32").model
    tokens = np.random.default_rng(0).integers(3, 128, (1, 48))
    expected = torch_logits(theirs, tokens)
    assert np.linalg.norm(mlx_logits(ours, tokens) - expected) < 1e-4 * np.linalg.norm(expected)
    plain = loading.empty_model(
        {key: value for key, value in config.items() if key != "rope_parameters"} | {"rope_theta": 5000.0}
    )
    plain.load_weights(list(loading.named_arrays(ours.parameters()).items()))
    assert np.linalg.norm(mlx_logits(plain, tokens) - expected) > 1e-3 * np.linalg.norm(
        expected
    )  # it does matter


@pytest.mark.parametrize(
    ("scaling", "said"),
    [
        ({"rope_type": "dynamic", "factor": 2.0}, "rope type 'dynamic'"),
        (SCALINGS["yarn"] | {"attention_factor": 3.0}, "attention_factor 3.0"),
        ({"rope_type": "spiral"}, "does not describe a 'granitemoe' model"),
    ],
)
def test_a_rotary_embedding_that_mlx_lm_computes_otherwise_is_refused_by_name(copy, scaling, said):
    config = folder_config() | {"rope_parameters": scaling | {"rope_theta": 10000.0}}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(RefusedError, match=re.escape(said)):
        loading.load(str(copy))


def test_a_scaling_that_an_architecture_has_no_setting_for_is_refused_by_name():
    config = folder_config("llama") | {
        "model_type": "starcoder2",
        "rope_scaling": {"rope_type": "linear", "factor": 2.0},
    }
    with pytest.raises(RefusedError, match="rope type 'linear' is none that mlx-lm's 'starcoder2' computes"):
        loading.empty_model(config)


@pytest.mark.parametrize("written", ["Infinity", '{"__float__": "Infinity"}'])
def test_infinity_is_a_number_in_either_writing(copy, written):
    text = json.dumps(folder_config() | {"limit": "HERE"}).replace('"HERE"', written)
    (copy / "config.json").write_text(text)
    assert loading.read_config(copy)["limit"] == float("inf")


def test_sizes_are_read_from_a_nested_configuration():
    nested = {"text_config": {"vocab_size": 7, "max_position_embeddings": 9}}
    assert (loading.vocabulary_size(nested), loading.position_limit(nested)) == (7, 9)
    assert loading.position_limit(folder_config()) == 512
    assert loading.position_limit({"n_positions": 1024}) == 1024
    assert loading.position_limit({}) is None


def test_end_tokens_are_those_of_both_configurations(copy):
    (copy / "generation_config.json").write_text('{"eos_token_id": [2, 5]}')
    assert loading.end_tokens(copy) == [2, 5]
    assert loading.load_tokenizer_of(copy).eos_token_ids == {2, 5}


def test_code_of_a_models_own_is_never_run_and_nobody_is_asked(copy, monkeypatch):
    def asked(*_):
        raise AssertionError("asked")

    monkeypatch.setattr("builtins.input", asked)
    table = json.loads((copy / "tokenizer_config.json").read_text())
    table |= {"auto_map": {"AutoTokenizer": ["code.Tokenizer", None]}, "tokenizer_class": "Tokenizer"}
    (copy / "tokenizer_config.json").write_text(json.dumps(table))
    (copy / "code.py").write_text("raise SystemExit('run')")
    config = folder_config() | {"auto_map": {"AutoConfig": "code.Config"}}
    (copy / "config.json").write_text(json.dumps(config))
    try:
        loading.load_tokenizer_of(copy)
    except RefusedError as refusal:
        assert "it asks for code of its own to be run; that is never done" in str(refusal)


def test_a_value_that_is_not_finite_is_the_bases_own(copy):
    found = load_file(copy / WEIGHTS)
    name = "model.norm.weight"
    found[name] = found[name].copy()
    found[name][0] = np.nan
    save_file(found, copy / WEIGHTS, {"format": "pt"})
    with pytest.raises(
        RefusedError, match=r"the base's own 'model.norm.weight' holds a value that is not finite"
    ):
        loading.load(str(copy))


def test_names(copy, monkeypatch):
    monkeypatch.chdir(copy.parent)
    with pytest.raises(ConfigError, match=r"No model './cpoy'. Did you mean 'copy'\?"):
        loading.resolve("./cpoy")
    with pytest.raises(ConfigError, match=r"names the revision 'v1' and --revision 'v2'"):
        loading.resolve("org/name@v1", "v2")
    with pytest.raises(OfflineError, match="--revision v1"):
        loading.resolve("org/name@v1")
    monkeypatch.setenv("HOME", str(copy.parent))
    assert loading.resolve("~/copy") == copy
    assert loading.recorded_name("copy", copy) == str(copy)
    assert loading.recorded_name("org/name@v1", copy) == "org/name"


def test_a_base_that_moved_along_with_its_run_is_found(copy, tmp_path):
    gone = tmp_path / "before" / "models" / "copy"
    (tmp_path / "after" / "run").mkdir(parents=True)
    shutil.copytree(copy, tmp_path / "after" / "models" / "copy")
    assert loading.near(str(gone), tmp_path / "after" / "run") == str(tmp_path / "after" / "models" / "copy")
    assert loading.near("granite-tiny", tmp_path) == "granite-tiny"


def test_files_on_which_nothing_depends_do_not_change_the_identity(folder, copy):
    (copy / "generation_config.json").write_text('{"temperature": 0.6}')
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"transformers_version": "9"}, indent=4))
    assert loading.identity(copy) == loading.identity(folder)
    (copy / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    assert loading.identity(copy) != loading.identity(folder)
