"""What an imported adapter cannot be is refused by name, in one line, before anything is written."""

import json
import pickle
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from model_folders import mlx_logits, model_folder, run_folder

from lendsafe.cli import main
from lendsafe.cli.export import command as export_command
from lendsafe.cli.import_adapter import command as import_command
from lendsafe.errors import ExistsError, RefusedError
from lendsafe.mlx_lora.exchange import adapter, foreign, loading
from lendsafe.mlx_lora.exchange.export import export
from lendsafe.mlx_lora.runs.record import read_settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return model_folder(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def peft_folder(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("peft")
    run_folder(folder, place / "run", "q_proj", "experts")
    export(place / "run", place / "peft", "peft")
    return place / "peft"


@pytest.fixture
def changed(peft_folder, tmp_path):
    """A copy of a PEFT adapter folder with other settings or tensors."""

    def change(settings=None, tensors=None):
        shutil.copytree(peft_folder, tmp_path / "changed")
        if settings:
            config = adapter.read_config(peft_folder) | settings
            (tmp_path / "changed" / adapter.CONFIG).write_text(json.dumps(config))
        if tensors:
            found = {n: np.array(a) for n, a in adapter.read_arrays(peft_folder / adapter.PEFT_FILE).items()}
            adapter.write_tensors(tmp_path / "changed" / adapter.PEFT_FILE, tensors(found))
        return tmp_path / "changed"

    return change


def refusal(source, folder, tmp_path):
    base = loading.load(str(folder))
    with pytest.raises(RefusedError) as caught:
        foreign.import_adapter(source, base, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"use_dora": True},
        {"modules_to_save": ["lm_head"]},
        {"bias": "all"},
        {"lora_bias": True},
        {"fan_in_fan_out": True},
        {"trainable_token_indices": [1]},
        {"layer_replication": [[0, 2]]},
        {"init_lora_weights": "pissa"},
        {"peft_type": "IA3"},
        {"no_such_setting": 1},
        {"r": 0},
        {"r": True},
        {"lora_alpha": float("nan")},
        {"rank_pattern": {"(a+)+$": 3}},
        {"alpha_pattern": {"q_proj": -1}},
    ],
    ids=lambda one: next(iter(one)),
)
def test_a_setting_that_cannot_be_represented_is_refused_by_name(changed, folder, tmp_path, settings):
    message = refusal(changed(settings), folder, tmp_path)
    name = "pattern" if "pattern" in next(iter(settings)) else next(iter(settings))
    assert name in message


@pytest.mark.parametrize(
    "settings",
    [{"use_dora": False}, {"modules_to_save": None}, {"not_yet_invented": None}, {"loftq_config": {}}],
)
def test_a_setting_that_is_switched_off_is_no_obstacle(changed, folder, tmp_path, settings):
    foreign.import_adapter(changed(settings), loading.load(str(folder)), tmp_path / "run")


def renamed(old, new):
    return lambda tensors: {name.replace(old, new): array for name, array in tensors.items()}


@pytest.mark.parametrize(
    ("tensors", "names"),
    [
        (
            renamed("layers.0.self_attn.q_proj.lora_A", "layers.0.self_attn.q_proj.lora_magnitude"),
            "magnitude",
        ),
        (renamed("layers.2", "layers.9"), "layers.9"),
        (renamed("self_attn.q_proj", "self_attn.wq"), "wq"),
        (renamed("base_layer.lora", "base_layer.base_layer.lora"), "experts"),
        (
            lambda t: {n: a for n, a in t.items() if "layers.1.self_attn.q_proj.lora_B" not in n},
            "lora_A alone",
        ),
        (lambda t: {n: a[:, :-1] if "lora_A" in n else a for n, a in t.items()}, "do not fit"),
        (lambda t: {n: a[:-1] if "lora_A" in n else a for n, a in t.items()}, "do not fit"),
        (lambda t: {n: a * np.float32("nan") for n, a in t.items()}, "not finite"),
        (lambda t: {n: a.astype(np.int32) for n, a in t.items()}, "floating-point"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused_by_name(changed, folder, tmp_path, tensors, names):
    assert names in refusal(changed(tensors=tensors), folder, tmp_path)


def test_an_adapter_of_a_wider_model_is_refused(peft_folder, tmp_path):
    wider = model_folder(tmp_path / "wider", hidden_size=96)
    assert "do not fit" in refusal(peft_folder, wider, tmp_path)


@pytest.mark.parametrize("name", ["adapter_model.bin", "adapter_model.pt", "pytorch_model.pth"])
def test_a_pickle_is_refused_by_name_and_never_read(changed, folder, tmp_path, name):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was read",))

    source = changed()
    (source / adapter.PEFT_FILE).unlink()
    (source / name).write_bytes(pickle.dumps(Trap()))
    message = refusal(source, folder, tmp_path)
    assert name in message
    assert "pickle" in message


def test_an_mlx_lm_tensor_that_is_no_factor_is_refused_by_name(folder, tmp_path):
    (tmp_path / "mlx").mkdir()
    adapter.write_tensors(tmp_path / "mlx" / adapter.MLX_FILE, {"model.norm.weight": np.ones(64, np.float32)})
    config = {"fine_tune_type": "lora", "num_layers": 3, "lora_parameters": {"rank": 4, "scale": 2.0}}
    (tmp_path / "mlx" / adapter.CONFIG).write_text(json.dumps(config))
    assert "model.norm.weight" in refusal(tmp_path / "mlx", folder, tmp_path)


def test_unequal_ranks_are_filled_up_with_zeros(changed, folder, tmp_path):
    def thinner(tensors):
        return {
            n: a[:2] if "q_proj.lora_A" in n else a[:, :2] if "q_proj.lora_B" in n else a
            for n, a in tensors.items()
        }

    source = changed({"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 4}}, thinner)
    base = loading.load(str(folder))
    config = foreign.import_adapter(source, base, tmp_path / "run")
    a = base.model.model.layers[0].self_attn.q_proj.lora_a
    assert config.rank == a.shape[1] == 4
    assert np.array(a)[:, :2].any()
    assert not np.array(a)[:, 2:].any()


def test_the_imported_folder_is_a_run(peft_folder, folder, tmp_path):
    base = loading.load(str(folder))
    foreign.import_adapter(peft_folder, base, tmp_path / "run")
    settings, name, _ = read_settings(tmp_path / "run")
    assert (settings.rank, settings.alpha, name) == (4, 8.0, str(folder))
    again = loading.load(str(folder))
    adapter.load(tmp_path / "run", again)
    np.testing.assert_array_equal(mlx_logits(again.model), mlx_logits(base.model))


def test_a_folder_that_holds_something_is_not_overwritten(peft_folder, folder):
    with pytest.raises(ExistsError, match="not empty"):
        foreign.import_adapter(peft_folder, loading.load(str(folder)), peft_folder)


def test_the_commands_go_there_and_back(peft_folder, folder, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    first = CliRunner().invoke(import_command, [str(peft_folder), "--model", str(folder), "--out", str(run)])
    assert first.exit_code == 0, first.output
    assert first.output.startswith(f"{run}: rank 4, alpha 8, targets ")
    second = CliRunner().invoke(export_command, [str(run), "--to", "peft", "--out", str(out), "--json"])
    assert second.exit_code == 0, second.output
    told = json.loads(second.output)
    assert told["error"] < 1e-6
    assert told["by"].startswith("PEFT ")
    assert told == {"path": str(out), "to": "peft", "unchecked": ""} | {
        key: told[key] for key in ("error", "by")
    }
    ours, theirs = (adapter.read_arrays(one / adapter.PEFT_FILE) for one in (out, peft_folder))
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(np.array(ours[n]), np.array(theirs[n])) for n in theirs)


def test_a_refusal_is_one_line_and_exit_code_8(changed, folder, tmp_path, capsys):
    source = changed({"use_dora": True})
    with pytest.raises(SystemExit) as left:
        main(["import-adapter", str(source), "--model", str(folder), "--out", str(tmp_path / "run")])
    assert left.value.code == 8
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "use_dora = True cannot be represented" in error
