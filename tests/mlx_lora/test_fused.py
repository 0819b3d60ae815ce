"""A fused export is a whole model: transformers misses nothing in it, mlx-lm loads it, all compute the same."""

import json

import mlx.core as mx
import mlx_lm
import numpy as np
import pytest
from model_folders import folder_config, mlx_logits, model_folder, run_folder, torch_logits
from safetensors import safe_open

from lendsafe.errors import DiskError, ExistsError, RefusedError
from lendsafe.mlx_lora.exchange import adapter, export, foreign, fuse, loading

transformers = pytest.importorskip("transformers")
TOLERANCE = 1e-5


def in_transformers(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return model_folder(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def fused(folder, tmp_path_factory):
    """A fused model with every layer adapted, and the logits of the adapted one."""
    place = tmp_path_factory.mktemp("fused")
    ours = mlx_logits(run_folder(folder, place / "run", "all").model)
    export.export(place / "run", place / "model", "fused")
    return place / "model", ours


def test_transformers_loads_it_with_no_missing_and_no_unexpected_key(fused):
    path, ours = fused
    model, info = in_transformers(path)
    assert not any(info.values()), info
    np.testing.assert_allclose(torch_logits(model), ours, atol=TOLERANCE)


def test_mlx_lm_loads_it(fused):
    path, ours = fused
    model, _ = mlx_lm.load(str(path))
    np.testing.assert_allclose(mlx_logits(model), ours, atol=TOLERANCE)


def test_its_tensors_have_the_names_and_shapes_of_the_base(fused, folder):
    def described(path):
        with safe_open(path / "model.safetensors", framework="numpy") as file:
            return {
                n: (file.get_slice(n).get_shape(), file.get_slice(n).get_dtype()) for n in list(file.keys())
            }

    assert described(fused[0]) == described(folder)


def test_tokenizer_and_template_come_along(fused, folder):
    ours = transformers.AutoTokenizer.from_pretrained(fused[0])
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    assert ours.chat_template == theirs.chat_template is not None
    assert ours.get_vocab() == theirs.get_vocab()


def test_the_rotary_base_is_where_every_version_looks_for_it(fused):
    config = json.loads((fused[0] / "config.json").read_text())
    assert config["rope_theta"] == 10000.0
    assert config["rope_parameters"] == {"rope_type": "default", "rope_theta": 10000.0}


def test_rotary_scaling_is_kept():
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0}
    config = fuse.fused_config(folder_config("llama", rope_scaling=scaling, rope_theta=5e5), "float16")
    assert config["rope_parameters"] == scaling | {"rope_theta": 5e5}
    assert config["rope_scaling"] == scaling


@pytest.mark.parametrize("architecture", ["granite", "granitemoehybrid", "qwen3_moe", "llama"])
def test_other_architectures_fuse_too(tmp_path, architecture):
    folder = model_folder(tmp_path / "base", architecture)
    ours = mlx_logits(run_folder(folder, tmp_path / "run", "all").model)
    export.export(tmp_path / "run", tmp_path / "fused", "fused")
    model, info = in_transformers(tmp_path / "fused")
    assert not any(info.values()), info
    np.testing.assert_allclose(torch_logits(model), ours, atol=TOLERANCE)


def test_a_base_that_transformers_5_saved_fuses_into_one_that_mlx_lm_loads(folder, tmp_path):
    model, _ = in_transformers(folder)
    model.save_pretrained(tmp_path / "base")
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "base")
    assert "rope_theta" not in json.loads((tmp_path / "base" / "config.json").read_text())
    ours = mlx_logits(run_folder(tmp_path / "base", tmp_path / "run", "all").model)
    export.export(tmp_path / "run", tmp_path / "fused", "fused")
    fused, _ = mlx_lm.load(str(tmp_path / "fused"))
    np.testing.assert_allclose(mlx_logits(fused), ours, atol=TOLERANCE)


@pytest.mark.parametrize("bits", [None, 8])
def test_a_base_that_mlx_lm_converted_is_written_under_the_published_names(folder, tmp_path, bits):
    mlx_lm.convert(
        str(folder), str(tmp_path / "mlx"), quantize=bool(bits), q_bits=bits, q_group_size=32, dtype="float32"
    )
    ours = mlx_logits(run_folder(tmp_path / "mlx", tmp_path / "run", "all").model)
    export.export(tmp_path / "run", tmp_path / "fused", "fused")
    model, info = in_transformers(tmp_path / "fused")
    assert not any(info.values()), info
    np.testing.assert_allclose(torch_logits(model), ours, atol=1e-4)


def test_precision_chooses_the_type_and_the_shards_have_an_index(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(fuse, "SHARD", 100_000)
    ours = mlx_logits(run_folder(folder, tmp_path / "run", "all").model)
    done = export.export(tmp_path / "run", tmp_path / "fused", "fused", precision="float16")
    assert 0 < done.error < export.TOLERANCE["float16"]
    shards = sorted(tmp_path.glob("fused/model-*.safetensors"))
    assert len(shards) > 1
    assert all(a.dtype == mx.float16 for shard in shards for a in mx.load(str(shard)).values())
    model, info = in_transformers(tmp_path / "fused")
    assert not any(info.values()), info
    np.testing.assert_allclose(torch_logits(model.float()), ours, atol=2e-2)


def test_an_export_that_computes_something_else_is_refused(folder, tmp_path, monkeypatch):
    run_folder(folder, tmp_path / "run", "experts")
    monkeypatch.setattr(fuse, "_STORED", {})  # gate and up would not be found in the fused tensor
    with pytest.raises(RefusedError, match="no tensor"):
        export.export(tmp_path / "run", tmp_path / "fused", "fused")
    monkeypatch.undo()
    monkeypatch.setattr(fuse._Change, "apply", lambda self, weight, scale: weight)  # the adapter forgotten
    with pytest.raises(RefusedError, match="logits differ"):
        export.export(tmp_path / "run", tmp_path / "fused2", "fused")


def test_a_folder_that_holds_something_is_not_overwritten(folder, tmp_path):
    run_folder(folder, tmp_path / "run", "attention")
    with pytest.raises(ExistsError, match="not empty"):
        export.export(tmp_path / "run", tmp_path / "run", "fused")


def test_too_little_space_is_said_before_anything_is_written(folder, tmp_path, monkeypatch):
    run_folder(folder, tmp_path / "run", "attention")
    monkeypatch.setattr(fuse.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(DiskError, match="needed for the fused model"):
        export.export(tmp_path / "run", tmp_path / "fused", "fused")
    assert not (tmp_path / "fused").exists()


def test_the_probe_covers_more_than_one_sequence(folder):
    base = loading.load(str(folder))
    assert foreign.probe(base).shape == (2, 16, base.config["vocab_size"])
    assert adapter.model_type(base) == "granitemoe"
