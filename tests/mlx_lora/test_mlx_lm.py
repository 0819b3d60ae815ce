"""What LendSafe writes, mlx-lm loads, generates from and fuses; and the way back is bit-equal."""

import json
import sys

import mlx_lm
import numpy as np
import pytest
from model_folders import assert_same_arrays, mlx_logits, model_folder, numpy_arrays, run_folder

from lendsafe.errors import RefusedError
from lendsafe.mlx_lora.exchange import adapter, foreign, loading
from lendsafe.mlx_lora.exchange.export import export

TARGETS = [("attention",), ("experts",), ("router",), ("all",), ("model.layers.1.self_attn.q_proj",)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return model_folder(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("targets", TARGETS)
def test_the_run_folder_computes_the_same_in_mlx_lm(folder, tmp_path, targets):
    ours = mlx_logits(run_folder(folder, tmp_path / "run", *targets).model)
    theirs, _ = mlx_lm.load(str(folder), adapter_path=str(tmp_path / "run"))
    np.testing.assert_allclose(mlx_logits(theirs), ours, atol=1e-6)
    assert {n.rpartition(".")[0] for n in dict_of_adapters(theirs)} == {
        n.rpartition(".")[0] for n in adapter.read_arrays(tmp_path / "run" / adapter.MLX_FILE)
    }


def dict_of_adapters(model):
    return {n: a for n, a in loading.named_arrays(model.parameters()).items() if n.endswith("lora_a")}


@pytest.mark.parametrize("targets", TARGETS)
def test_ours_to_mlx_lm_to_ours_is_bit_equal(folder, tmp_path, targets):
    before = numpy_arrays(run_folder(folder, tmp_path / "run", *targets))
    export(tmp_path / "run", tmp_path / "mlx", "mlx")
    base = loading.load(str(folder))
    foreign.import_adapter(tmp_path / "mlx", base, tmp_path / "back")
    assert_same_arrays(numpy_arrays(base), before)


def command(monkeypatch, module, *arguments):
    monkeypatch.setattr(sys, "argv", [module, *map(str, arguments)])
    __import__(f"mlx_lm.{module}")
    sys.modules[f"mlx_lm.{module}"].main()


def test_mlx_lm_fuse_reads_the_run_folder(folder, tmp_path, monkeypatch):
    ours = mlx_logits(run_folder(folder, tmp_path / "run", "all").model)
    paths = ("--model", folder, "--adapter-path", tmp_path / "run", "--save-path", tmp_path / "fused")
    command(monkeypatch, "fuse", *paths)
    fused, _ = mlx_lm.load(str(tmp_path / "fused"))
    np.testing.assert_allclose(mlx_logits(fused), ours, atol=1e-5)


def test_mlx_lm_generate_reads_the_run_folder(folder, tmp_path, monkeypatch, capsys):
    run_folder(folder, tmp_path / "run", "all")
    arguments = ("--model", folder, "--adapter-path", tmp_path / "run", "--prompt", "w1 w2", "-m", 3)
    command(monkeypatch, "generate", *arguments)
    assert "Generation: " in capsys.readouterr().out


@pytest.mark.parametrize("keys", [None, ["self_attn.q_proj", "block_sparse_moe.switch_mlp.up_proj"]])
@pytest.mark.parametrize("blocks", [3, 2])
def test_what_mlx_lm_trained_computes_the_same_here(folder, tmp_path, keys, blocks):
    from mlx_lm.tuner.utils import linear_to_lora_layers

    parameters = {"rank": 5, "scale": 3.0, "dropout": 0.0} | ({"keys": keys} if keys else {})
    theirs, _ = mlx_lm.load(str(folder))
    linear_to_lora_layers(theirs, blocks, parameters)
    found = {n: a for n, a in loading.named_arrays(theirs.parameters()).items() if ".lora_" in n}
    found = {
        n: np.random.default_rng(1).normal(0, 0.05, a.shape).astype(np.float32) for n, a in found.items()
    }
    theirs.load_weights([(n, adapter.mx.array(a)) for n, a in found.items()], strict=False)
    adapter.write_tensors(tmp_path / adapter.MLX_FILE, found)
    config = {"fine_tune_type": "lora", "num_layers": blocks, "lora_parameters": parameters, "iters": 10}
    (tmp_path / adapter.CONFIG).write_text(json.dumps(config))
    base = loading.load(str(folder))
    imported = foreign.import_adapter(tmp_path, base, tmp_path / "run")
    np.testing.assert_allclose(mlx_logits(base.model), mlx_logits(theirs), atol=1e-6)
    assert (imported.rank, imported.scale) == (5, 3.0)


def test_a_dora_adapter_is_refused_by_name(folder, tmp_path):
    run_folder(folder, tmp_path / "run", "attention")
    config = adapter.read_config(tmp_path / "run")
    (tmp_path / "run" / adapter.CONFIG).write_text(json.dumps(config | {"fine_tune_type": "dora"}))
    (tmp_path / "run" / adapter.PEFT_FILE).unlink()
    with pytest.raises(RefusedError, match="dora"):
        foreign.import_adapter(tmp_path / "run", loading.load(str(folder)), tmp_path / "back")
