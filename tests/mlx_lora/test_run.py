"""A run that was killed and resumed ends with the same bytes as one that was not; nothing bad is ever saved."""

import errno
import json
import math
import os
import random
import signal
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from failing_disk import CALLS, Failing
from model_folders import TEMPLATE, assert_same_arrays, model_folder, numpy_arrays
from safetensors.numpy import load_file

from lendsafe.errors import ConfigError, DataError, DiskError, DivergedError, ExistsError, RefusedError
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange import adapter, foreign, loading
from lendsafe.mlx_lora.runs import checkpoint, examples, record, run
from lendsafe.mlx_lora.runs import train as training
from lendsafe.mlx_lora.runs.watch import read_metrics
from lendsafe.mlx_lora.tokens import prompt_ids
from lendsafe.records import Message

sys.path.insert(0, str(Path(__file__).parent))
from training_process import SETTINGS, dataset, finish, start

CONFIG = TrainConfig(**SETTINGS)
TOTAL = 12


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory):
    return model_folder(tmp_path_factory.mktemp("base"), num_hidden_layers=2, hidden_size=32)


@pytest.fixture(scope="module")
def left_alone(base_folder, tmp_path_factory):
    """The run that nothing happens to: adapter bytes and logged losses."""
    out = tmp_path_factory.mktemp("runs") / "left_alone"
    result = fine_tune(base_folder, out)
    assert result.steps == TOTAL
    return out


@pytest.fixture(scope="module")
def process_left_alone(base_folder, tmp_path_factory):
    """The same in a process of its own, to compare with processes: what else is loaded may change last bits."""
    out = tmp_path_factory.mktemp("runs") / "process"
    assert finish(base_folder, out) == 0
    return out


def fine_tune(base_folder, out, config=CONFIG, **named):
    named = {"quiet": True} | named
    return run.fine_tune(loading.load(str(base_folder)), dataset(), config, out, **named)


def outcome(out: Path) -> tuple[bytes, list[tuple[int, float]], list[tuple[int, float]]]:
    rows = read_metrics(out)
    return (
        (out / "adapters.safetensors").read_bytes(),
        [(row["number"], row["loss"]) for row in rows if row["event"] == "step"],
        [(row["number"], row["loss"]) for row in rows if row["event"] == "valid"],
    )


def test_the_run_folder_holds_what_others_read(left_alone):
    names = {path.name for path in left_alone.iterdir()}
    assert {
        "adapter_config.json",
        "adapter_model.safetensors",
        "adapters.safetensors",
        "training_metrics.json",
        "metrics.jsonl",
        "loss.png",
        "run.json",
        "README.md",
        "checkpoints",
        "best",
    } <= names
    assert [p.name for p in checkpoint.existing(left_alone / "checkpoints")] == [
        "step-000008",
        "step-000010",
        "step-000012",
    ]
    metrics = json.loads((left_alone / "training_metrics.json").read_text())
    assert metrics["total_steps"] == TOTAL
    assert metrics["train_examples"] == 10
    assert math.isfinite(metrics["train_loss"])


def test_every_step_is_logged_with_what_a_reader_needs(left_alone):
    rows = [row for row in read_metrics(left_alone) if row["event"] == "step"]
    assert [row["number"] for row in rows] == list(range(1, TOTAL + 1))
    wanted = {
        "loss",
        "learning_rate",
        "grad_norm",
        "loss_scale",
        "tokens",
        "tokens_per_second",
        "skipped_steps",
    }
    assert wanted | {"peak_memory_gb"} <= rows[0].keys()


def test_the_best_adapter_is_the_one_with_the_lowest_validation_loss(base_folder, left_alone):
    valid = outcome(left_alone)[2]
    best_step = min(valid, key=lambda one: one[1])[0]
    assert json.loads((left_alone / "training_metrics.json").read_text())["best_step"] == best_step


def test_the_same_seed_gives_the_same_bytes(base_folder, left_alone, tmp_path):
    fine_tune(base_folder, tmp_path / "again")
    assert outcome(tmp_path / "again") == outcome(left_alone)


@pytest.mark.parametrize("step", [0, 2, 7])
def test_a_run_stopped_by_a_signal_and_resumed_is_the_run_left_alone(
    base_folder, left_alone, tmp_path, step, monkeypatch
):
    out = tmp_path / "stopped"
    taken = run._Run._between

    def between(self, one, pending):
        if one.number == max(step, 1):
            pending.append(signal.SIGTERM)
        taken(self, one, pending)

    with monkeypatch.context() as patch:
        patch.setattr(run._Run, "_between", between)
        with pytest.raises(run.InterruptedRunError, match="--resume") as caught:
            fine_tune(base_folder, out)
    assert caught.value.exit_code == 143
    fine_tune(base_folder, out, resume=True)
    assert outcome(out) == outcome(left_alone)


@pytest.mark.parametrize("number", [2, 9, 13])
def test_killed_inside_a_save_and_resumed_is_the_run_left_alone(
    base_folder, process_left_alone, tmp_path, number
):
    killed_and_resumed(base_folder, process_left_alone, tmp_path, "--die-at-sync", str(number))


@pytest.mark.parametrize("seconds", [0.05, 0.4, 0.9])
def test_killed_at_any_moment_and_resumed_is_the_run_left_alone(
    base_folder, process_left_alone, tmp_path, seconds
):
    killed_and_resumed(base_folder, process_left_alone, tmp_path, "--die-after", str(seconds))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(200))
def test_killed_at_random_and_resumed_is_the_run_left_alone(base_folder, process_left_alone, tmp_path, seed):
    rng = random.Random(seed)
    how = (
        ("--die-at-sync", str(rng.randint(1, 42))) if seed % 2 else ("--die-after", str(rng.uniform(0.01, 3)))
    )
    killed_and_resumed(base_folder, process_left_alone, tmp_path, *how)


def killed_and_resumed(base_folder, left_alone, tmp_path, *how):
    out = tmp_path / "killed"
    code = finish(base_folder, out, *how)
    assert code in (0, -signal.SIGKILL)
    found, passed_over = checkpoint.newest_valid(out / "checkpoints")
    assert not passed_over
    if found is None:
        assert not checkpoint.existing(out / "checkpoints")
    begun = (out / "run.json").exists()  # else it died before anything of it was in place
    if code:
        assert finish(base_folder, out, *(["--resume"] if begun else [])) == 0
    assert outcome(out) == outcome(left_alone)
    assert not list(out.rglob(".*.tmp-*"))


@pytest.mark.parametrize(
    "nth", [*(2, 10, 20, 30), *(pytest.param(n, marks=pytest.mark.soak) for n in range(1, 60))]
)
@pytest.mark.parametrize(
    ("name", "number"),
    list(zip(CALLS, [errno.ENOSPC, errno.EIO, errno.EACCES, errno.ENOSPC, errno.EIO], strict=True)),
)
def test_a_failing_disk_ends_the_run_with_5_and_it_can_be_resumed(
    base_folder, left_alone, tmp_path, monkeypatch, name, number, nth
):
    """Any call of the whole run, not of one save alone."""
    out = tmp_path / "failing"
    base, calls = loading.load(str(base_folder)), Failing(name, number, nth, out)
    with monkeypatch.context() as patch:
        calls.install(patch)
        try:
            run.fine_tune(base, dataset(), CONFIG, out, quiet=True)
        except DiskError as problem:
            assert problem.exit_code == 5
            assert os.strerror(number) in str(problem)
            assert str(out) in str(problem)
            assert "\n" not in str(problem)
        else:  # an old checkpoint that cannot be moved away stays: no reason to end a run
            assert calls.count < nth or name == "replace"
    found, passed_over = checkpoint.newest_valid(out / "checkpoints")
    assert not passed_over
    fine_tune(base_folder, out, resume=(out / "run.json").exists())
    assert outcome(out) == outcome(left_alone)
    assert not list(out.rglob(".*.tmp-*"))
    assert found is None or found.state["step"] <= TOTAL


LONG = ("--settings", '{"epochs": 1000, "eval_every": 0}')


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_leaves_with_its_code(base_folder, tmp_path, number, code):
    out = tmp_path / "interrupted"
    process = start(base_folder, out, *LONG)
    wait_for(out / "metrics.jsonl")
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == code
    last = read_metrics(out)[-1]["number"]
    found, _ = checkpoint.newest_valid(out / "checkpoints")
    assert found.state["step"] == last


def test_a_second_signal_leaves_at_once(base_folder, tmp_path):
    out = tmp_path / "interrupted"
    process = start(base_folder, out, *LONG, "--slow-save")
    wait_for(out / "metrics.jsonl")
    os.kill(process.pid, signal.SIGTERM)
    time.sleep(0.2)
    assert process.is_alive()  # it is saving, for a minute
    os.kill(process.pid, signal.SIGTERM)
    process.join(5)
    assert process.exitcode == 143
    found, passed_over = checkpoint.newest_valid(out / "checkpoints")
    assert found is not None
    assert not passed_over


def test_a_second_process_in_the_same_folder_is_refused(base_folder, tmp_path):
    out = tmp_path / "shared"
    first = start(base_folder, out, *LONG)
    wait_for(out / "metrics.jsonl")
    before = (out / "run.json").read_bytes()
    assert finish(base_folder, out, *LONG, "--resume") == ExistsError.exit_code == 6
    assert finish(base_folder, out, *LONG) == 6
    assert first.is_alive()
    assert (out / "run.json").read_bytes() == before
    os.kill(first.pid, signal.SIGINT)
    first.join(60)
    assert first.exitcode == 130


def wait_for(path: Path) -> None:
    for _ in range(400):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not appear")


def test_a_damaged_newest_checkpoint_is_passed_over(base_folder, left_alone, tmp_path, capsys):
    out = tmp_path / "damaged"
    stop_at(base_folder, out, 7)
    newest = checkpoint.existing(out / "checkpoints")[-1]
    (newest / "optimizer.safetensors").write_bytes(b"")
    fine_tune(base_folder, out, resume=True, quiet=False)
    shown = capsys.readouterr().err
    assert f"passed over {newest}" in shown
    assert "resuming from step-000006" in shown
    assert outcome(out) == outcome(left_alone)


def stop_at(base_folder, out, number):
    """Leave a run after ``number`` steps, as a signal would."""
    taken = run._Run._between

    def between(self, one, pending):
        taken(self, one, [signal.SIGTERM] if one.number == number else pending)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run._Run, "_between", between)
        with pytest.raises(run.InterruptedRunError):
            fine_tune(base_folder, out)


def test_a_changed_setting_is_refused_by_name_and_forced_on_record(base_folder, tmp_path):
    out = tmp_path / "changed"
    stop_at(base_folder, out, 3)
    changed = replace(CONFIG, learning_rate=5e-3)
    with pytest.raises(RefusedError, match="learning_rate was 0.01 and is 0.005"):
        fine_tune(base_folder, out, changed, resume=True)
    fine_tune(base_folder, out, changed, resume=True, force=True)
    assert json.loads((out / "run.json").read_text())["forced"] == ["learning_rate was 0.01 and is 0.005"]


def test_a_changed_base_and_changed_data_are_refused(base_folder, tmp_path, monkeypatch):
    out = tmp_path / "changed"
    stop_at(base_folder, out, 3)
    other = model_folder(tmp_path / "other", num_hidden_layers=2, hidden_size=32, seed=1)
    with pytest.raises(RefusedError, match="the base has changed"):
        fine_tune(other, out, resume=True)
    data = run.Dataset(train=dataset().train[:-1], valid=dataset().valid)
    with pytest.raises(RefusedError, match="the data has changed"):
        run.fine_tune(loading.load(str(base_folder)), data, CONFIG, out, resume=True, quiet=True)


def test_memory_settings_may_change_on_resuming(base_folder, left_alone, tmp_path):
    out = tmp_path / "smaller"
    stop_at(base_folder, out, 5)
    result = fine_tune(base_folder, out, replace(CONFIG, token_budget=8, recompute="layer"), resume=True)
    assert result.steps == TOTAL


def test_a_folder_in_use_is_refused(base_folder, tmp_path):
    with checkpoint.lock(tmp_path / "run"), pytest.raises(ExistsError, match="another process"):
        fine_tune(base_folder, tmp_path / "run")


def test_a_folder_with_something_in_it_is_refused(base_folder, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ExistsError, match="not empty"):
        fine_tune(base_folder, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_absurd_learning_rate_ends_the_run_and_keeps_the_last_good_adapter(base_folder, tmp_path):
    out = tmp_path / "diverged"
    config = replace(CONFIG, learning_rate=1e30, warmup_steps=0, epochs=20, clip_norm=0.0)
    with pytest.raises(DivergedError, match="Try a lower --learning-rate"):
        fine_tune(base_folder, out, config)
    found, _ = checkpoint.newest_valid(out / "checkpoints")
    assert found is not None
    assert all(bool(mx.isfinite(array).all()) for array in found.adapter.values())
    assert not (out / "adapters.safetensors").exists()


def test_a_nan_in_the_base_ends_the_run(base_folder, tmp_path):
    base = loading.load(str(base_folder))
    layer = base.model.model.layers[0].input_layernorm
    layer.weight = mx.full(layer.weight.shape, math.nan)
    with pytest.raises(DivergedError):
        run.fine_tune(base, dataset(), replace(CONFIG, epochs=20), tmp_path / "nan", quiet=True)


def test_early_stopping_ends_a_run_that_no_longer_gets_better(base_folder, tmp_path):
    config = replace(CONFIG, learning_rate=0.0, eval_every=1, patience=2)
    result = fine_tune(base_folder, tmp_path / "stale", config)
    assert result.steps == 3
    assert result.best_step == 1


def test_every_bad_row_is_named_before_training(base_folder, tmp_path):
    good = dataset()
    bad = [*good.train[:2], [Message("user", "w1"), Message("assistant", "")], [Message("user", "w1")]]
    with pytest.raises(DataError, match="example 3, example 4: the last message"):
        run.fine_tune(
            loading.load(str(base_folder)),
            run.Dataset(train=bad, valid=[]),
            CONFIG,
            tmp_path / "run",
            quiet=True,
        )


def test_samples_are_shown_at_every_validation(base_folder, tmp_path):
    fine_tune(base_folder, tmp_path / "run", replace(CONFIG, samples=2, epochs=1, eval_every=2))
    samples = [row for row in read_metrics(tmp_path / "run") if row["event"] == "sample"]
    assert [row["number"] for row in samples] == [2, 2, 3, 3]
    assert all(row["reference"] for row in samples)


def test_the_adapter_of_a_run_is_the_one_that_was_trained(base_folder, left_alone):
    from lendsafe.mlx_lora.exchange import adapter

    base = loading.load(str(base_folder))
    adapter.load(left_alone, base)
    found, _ = checkpoint.newest_valid(left_alone / "checkpoints")
    assert_same_arrays(numpy_arrays(base), {k: np.array(v) for k, v in found.adapter.items()})


def last_good(out):
    """The newest checkpoint; it has to be whole, finite, and of weights whose loss is finite."""
    found, passed_over = checkpoint.newest_valid(out / "checkpoints")
    assert not passed_over
    assert all(bool(mx.isfinite(array).all()) for array in found.adapter.values())
    return found


@pytest.mark.parametrize("save_every", [1, 2])
@pytest.mark.parametrize("keep", [1, 3])
def test_weights_that_give_no_finite_loss_are_not_kept_as_good(base_folder, tmp_path, save_every, keep):
    """The first step with a rate of 1e30 is finite, and so are its weights; the loss after it is not."""
    out = tmp_path / "diverged"
    config = replace(
        CONFIG, learning_rate=1e30, warmup_steps=0, epochs=20, save_every=save_every, keep=keep, eval_every=0
    )
    with pytest.raises(DivergedError, match="step-000000 is the last good checkpoint") as caught:
        fine_tune(base_folder, out, config)
    assert caught.value.exit_code == 4
    found = last_good(out)
    assert found.state["step"] == 0
    assert not (out / "adapters.safetensors").exists()


@pytest.mark.parametrize("where", ["gradient", "batch", "weight"])
def test_a_nan_ends_the_run_with_4_and_the_last_good_adapter_survives(
    base_folder, tmp_path, monkeypatch, where
):
    """From step 6 on, the gradient, some token's embedding or an adapter weight is not a number."""
    out, base = tmp_path / "poisoned", loading.load(str(base_folder))
    update, calls = training.Update.__call__, []

    def poisoned(self, loss, grads, **named):
        calls.append(1)
        if len(calls) > 5 and where == "gradient":
            array = next(iter(loading.named_arrays(grads).values()))
            array[:] = math.nan
        elif len(calls) == 5 and where == "batch":  # loss of the batches that hold a token
            table = base.model.model.embed_tokens
            table.weight = table.weight * math.nan
            mx.eval(table.weight)
        elif len(calls) >= 5 and where == "weight":  # also after going back
            facts = update(self, loss, grads, **named)
            layer = next(iter(adapter.targets.adapters(base.model).values()))
            layer.lora_b = layer.lora_b + math.nan
            mx.eval(layer.lora_b)
            return facts
        return update(self, loss, grads, **named)

    monkeypatch.setattr(training.Update, "__call__", poisoned)
    config = replace(CONFIG, epochs=20, eval_every=0)
    with pytest.raises(DivergedError) as caught:
        run.fine_tune(base, dataset(), config, out, quiet=True)
    assert caught.value.exit_code == 4
    assert last_good(out).state["step"] in (2, 4)
    assert not (out / "adapters.safetensors").exists()


def test_a_run_that_early_stopping_ended_is_not_trained_further_by_resuming(base_folder, tmp_path):
    config = replace(CONFIG, learning_rate=0.0, eval_every=1, patience=2)
    fine_tune(base_folder, tmp_path / "stale", config)
    before = outcome(tmp_path / "stale")
    assert fine_tune(base_folder, tmp_path / "stale", config, resume=True).steps == 3
    assert outcome(tmp_path / "stale") == before


def test_a_run_killed_before_its_first_checkpoint_begins_anew(base_folder, left_alone, tmp_path):
    out = tmp_path / "early"
    stop_at(base_folder, out, 1)
    checkpoint.shutil.rmtree(out / "checkpoints")
    fine_tune(base_folder, out, resume=True)
    assert outcome(out)[0] == outcome(left_alone)[0]


def test_the_log_is_part_of_the_checkpoint(base_folder, left_alone, tmp_path):
    out = tmp_path / "lost"
    stop_at(base_folder, out, 7)
    (out / "metrics.jsonl").unlink()  # as after a power failure
    fine_tune(base_folder, out, resume=True)
    assert outcome(out) == outcome(left_alone)


@pytest.mark.parametrize("part", ["tokenizer", "template"])
def test_a_changed_tokenizer_and_template_are_refused_by_name(base_folder, tmp_path, part):
    out = tmp_path / "run"
    stop_at(base_folder, out, 1)
    base = replace(loading.load(str(base_folder)), identity="other", **{f"{part}_identity": "other"})
    with pytest.raises(RefusedError, match=f"the {part} has changed"):
        run.fine_tune(base, dataset(), CONFIG, out, resume=True, quiet=True)


@pytest.mark.parametrize("library", ["tensorboard", "wandb", "mlflow"])
def test_a_metrics_library_that_is_not_installed_is_named(base_folder, tmp_path, monkeypatch, library):
    for module in ("tensorboardX", "wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match="is not installed. Try: pip install"):
        fine_tune(base_folder, tmp_path / "run", replace(CONFIG, log_to=library))


def test_steps_and_validations_go_to_the_metrics_library(base_folder, tmp_path, monkeypatch):
    logged, closed = [], []
    client = types.SimpleNamespace(
        start_run=lambda run_name: None,
        log_metrics=lambda values, step: logged.append((step, values)),
        end_run=lambda: closed.append(True),
    )
    monkeypatch.setitem(sys.modules, "mlflow", client)
    fine_tune(base_folder, tmp_path / "run", replace(CONFIG, log_to="mlflow"))
    assert [step for step, values in logged if "step.loss" in values] == list(range(1, TOTAL + 1))
    assert [step for step, values in logged if "valid.loss" in values] == [4, 8, 12]
    assert closed


@pytest.mark.parametrize("architecture", ["granite", "granitemoehybrid", "llama", "qwen3", "qwen3_moe"])
def test_every_adapter_of_every_architecture_learns(tmp_path, architecture):
    base = loading.load(str(model_folder(tmp_path / "base", architecture)))
    config = replace(CONFIG, targets=("all",), epochs=1, eval_every=0, recompute="layer", dropout=0.0)
    run.fine_tune(base, dataset(), config, tmp_path / "run", quiet=True)
    for path, layer in adapter.targets.adapters(base.model).items():
        assert bool(layer.lora_b.any()), path


@pytest.mark.parametrize("bits", [4, 8])
def test_a_run_on_a_quantised_base_learns(tmp_path, bits):
    folder = model_folder(tmp_path / "base", hidden_size=64, intermediate_size=64)
    base = loading.load(str(folder), quantize=bits)
    config = replace(CONFIG, targets=("all",), quantize=bits, epochs=8, dropout=0.0)
    result = run.fine_tune(base, dataset(), config, tmp_path / "run", quiet=True)
    first = read_metrics(tmp_path / "run")[0]["loss"]
    assert result.train_loss < 0.8 * first


# -- other people's models, templates and adapters -------------------------------------------------


def test_a_run_goes_on_from_an_adapter(base_folder, left_alone, tmp_path):
    before = load_file(left_alone / "adapters.safetensors")
    fine_tune(base_folder, tmp_path / "on", replace(CONFIG, rank=9, max_steps=1), adapter_folder=left_alone)
    first = load_file(tmp_path / "on" / "checkpoints" / "step-000000" / "adapter.safetensors")
    for name, array in before.items():
        np.testing.assert_allclose(first[name], array, rtol=1e-6)
    stored = record.read(tmp_path / "on")
    assert stored["settings"]["rank"] == CONFIG.rank
    assert stored["started_from"] == str(left_alone.resolve())


def test_what_an_adapter_was_trained_on_counts_as_trained_on(base_folder, left_alone, tmp_path):
    base, rows = loading.load(str(base_folder)), dataset()
    others = replace(rows, train=rows.train[:4], valid=())
    run.fine_tune(
        base, others, replace(CONFIG, max_steps=1), tmp_path / "on", adapter_folder=left_alone, quiet=True
    )
    assert record.trained_rows(left_alone) == set(map(record.row_hash, rows.train))
    assert record.trained_rows(tmp_path / "on") == record.trained_rows(left_alone)


def test_an_adapter_without_a_checkpoint_is_never_begun_anew(base_folder, left_alone, tmp_path):
    base = loading.load(str(base_folder))
    foreign.import_adapter(left_alone, base, tmp_path / "imported")
    before = (tmp_path / "imported" / "adapters.safetensors").read_bytes()
    with pytest.raises(RefusedError, match="go on from it with --adapter"):
        fine_tune(base_folder, tmp_path / "imported", resume=True, force=True)
    assert (tmp_path / "imported" / "adapters.safetensors").read_bytes() == before


def test_a_sample_that_fails_is_said_and_the_run_goes_on(base_folder, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise TypeError("no positions")

    monkeypatch.setattr(run, "generate", fail)
    config = replace(CONFIG, samples=1, max_steps=2, eval_every=1)
    assert fine_tune(base_folder, tmp_path / "run", config, quiet=False).steps == 2
    assert "warning: no samples at step 1: TypeError: no positions" in capsys.readouterr().err


def test_what_a_file_manager_leaves_in_an_empty_folder_is_no_content(base_folder, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".DS_Store").write_bytes(b"x")
    assert fine_tune(base_folder, tmp_path / "run", replace(CONFIG, max_steps=1)).steps == 1


def test_examples_that_the_base_has_no_room_for_are_refused(base_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(examples, "position_limit", lambda _: 3)
    with pytest.raises(DataError, match=r"tokens, but the base has 3 positions; pass --max-length 3"):
        fine_tune(base_folder, tmp_path / "run")
    monkeypatch.setattr(examples, "embedding_rows", lambda _: 4)
    with pytest.raises(RefusedError, match="the model's embedding has 4 rows"):
        fine_tune(base_folder, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_too_long_examples_may_be_dropped(base_folder, tmp_path, capsys):
    long = [Message("user", "w1"), Message("assistant", "w2 " * 90)]
    data = run.Dataset(train=[*dataset().train, long], valid=[])
    config = replace(CONFIG, overlong="drop", max_length=64, max_steps=1)
    run.fine_tune(loading.load(str(base_folder)), data, config, tmp_path / "run")
    assert "warning: 1 examples are longer than --max-length 64 and were dropped" in capsys.readouterr().err


def test_the_day_and_a_template_of_ones_own_stay_with_the_run(base_folder, tmp_path):
    template = "{{ strftime_now('%Y') }} " + TEMPLATE
    base = loading.load(str(base_folder), template=template, day="1999-05-04")
    run.fine_tune(base, dataset(), replace(CONFIG, max_steps=1), tmp_path / "run", quiet=True)
    later = loading.load(str(base_folder), day="2031-01-01")
    adapter.load(tmp_path / "run", later)
    asked = [Message("user", "w1")]
    assert later.tokenizer.apply_chat_template(
        [{"role": "user", "content": "w1"}], tokenize=False
    ).startswith("1999 ")
    assert prompt_ids(later.tokenizer, asked) == prompt_ids(base.tokenizer, asked)
    resumed = replace(CONFIG, max_steps=1)
    run.fine_tune(
        loading.load(str(base_folder)), dataset(), resumed, tmp_path / "run", resume=True, quiet=True
    )


def test_every_reply_of_a_conversation_may_be_learned(base_folder, tmp_path):
    turns = [
        Message("user", "w1"),
        Message("assistant", "w2"),
        Message("user", "w3"),
        Message("assistant", "w4"),
    ]
    base = loading.load(str(base_folder))
    assert len(run.tokenize(base, [turns], CONFIG)) == 1
    found = run.tokenize(base, [turns], replace(CONFIG, turns="all"))
    assert [base.tokenizer.decode(one.ids[one.reply_start :]).split()[0] for one in found] == ["w2", "w4"]


def test_the_model_is_in_training_mode_only_while_it_is_trained(base_folder, tmp_path, monkeypatch):
    seen = []
    base = loading.load(str(base_folder))
    monkeypatch.setattr(run, "generate", lambda *_, **__: seen.append(base.model.training) or [])
    real = run.train
    monkeypatch.setattr(run, "train", lambda *given: seen.append(base.model.training) or real(*given))
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        run.fine_tune(base, dataset(), replace(CONFIG, samples=1, max_steps=1), tmp_path / "run", quiet=True)
    assert seen == [True, False]
    assert not base.model.training
