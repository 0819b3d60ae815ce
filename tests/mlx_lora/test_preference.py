"""A run that learns from its own replies: DPO's loss and gradient, what is set against what, exact resuming."""

import json
import math
import signal
import sys
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx.utils import tree_flatten
from model_folders import model_folder
from small_granite import VOCABULARY, adapt, relative_difference, small_config, small_model

from lendsafe.errors import ConfigError, DataError, ExistsError, RefusedError
from lendsafe.mlx_lora.config import PreferenceConfig, TrainConfig
from lendsafe.mlx_lora.exchange import adapter, loading
from lendsafe.mlx_lora.generate import Generation
from lendsafe.mlx_lora.runs import preference, record, run
from lendsafe.mlx_lora.runs.preference import Draw, Lesson, contrasts
from lendsafe.mlx_lora.runs.watch import read_metrics
from lendsafe.mlx_lora.step import objective
from lendsafe.mlx_lora.step.gradient import Gradient
from lendsafe.mlx_lora.step.objective import Pair, margins
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens

sys.path.insert(0, str(Path(__file__).parent))
from training_process import SETTINGS, dataset

PLAIN = Techniques(packed=False, buckets=False, compiled=False)
TECHNIQUES = [
    Techniques(),
    Techniques(fuse_loss=False, share_prefix=False),
    Techniques(buckets=True, compiled=True),
    PLAIN,
]


def pairs_of(rng: np.random.Generator, count: int) -> list[Pair]:
    made = []
    for _ in range(count):
        prompt = rng.integers(3, VOCABULARY, rng.integers(2, 6))
        good, bad = (
            Tokens(np.concatenate([prompt, rng.integers(3, VOCABULARY, n)]).astype(np.int32), len(prompt))
            for n in rng.integers(1, 7, 2)
        )
        made.append(Pair(good, bad, float(rng.normal())))
    return made


@pytest.fixture(scope="module")
def model():
    model = small_model()
    return model, adapt(model, "all").keys


def loss_and_gradient(model, keys, pairs, techniques, beta):
    """Of DPO's objective: a number, and arrays by name."""
    gradient = Gradient(model, keys, techniques, objective.preference(beta))
    loss, grads = gradient(pairs, mx.array(1.0), mx.random.key(0))
    return loss.item(), {name: np.array(one) for name, one in tree_flatten(grads)}


def test_a_model_that_is_its_own_reference_loses_log_2_a_pair(model):
    pairs = pairs_of(np.random.default_rng(0), 3)
    values = margins(model[0], pairs, PLAIN).tolist()
    own = [replace(one, reference=value) for one, value in zip(pairs, values, strict=True)]
    assert loss_and_gradient(*model, own, Techniques(), 0.3)[0] == pytest.approx(3 * math.log(2), rel=1e-5)
    assert objective.preference(0.3).count(own) == 3


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.5, 3.0]))
def test_loss_and_gradient_are_the_sum_over_the_pairs_each_computed_plainly(model, seed, beta):
    pairs = pairs_of(np.random.default_rng(seed), 4)
    plain = [loss_and_gradient(*model, [one], PLAIN, beta) for one in pairs]
    wanted = {name: sum(one[name] for _, one in plain) for name in plain[0][1]}
    whole = math.sqrt(sum(float(np.square(one).sum()) for one in wanted.values()))
    for techniques in TECHNIQUES[:3]:
        loss, grads = loss_and_gradient(*model, pairs, techniques, beta)
        assert loss == pytest.approx(sum(one for one, _ in plain), rel=1e-4)
        for name, grad in grads.items():
            error = np.linalg.norm(grad - wanted[name])
            assert error <= 1e-4 * max(np.linalg.norm(wanted[name]), 1e-2 * whole), name


@pytest.fixture(scope="module")
def in_torch(tmp_path_factory):
    """The same tiny model in transformers with PEFT's adapters, and ours with the same numbers."""
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    from transformers import GraniteMoeConfig, GraniteMoeForCausalLM

    torch.manual_seed(0)
    theirs = GraniteMoeForCausalLM(GraniteMoeConfig(**small_config())).float().eval()
    path = tmp_path_factory.mktemp("granite")
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.mul_(10 if parameter.ndim > 1 else 1)
    theirs.save_pretrained(path)
    ours = loading.load_model(path, loading.read_config(path), precision="float32", quantize=None)
    keys = adapt(ours, "attention").keys
    names = ["q_proj", "k_proj", "v_proj", "o_proj"]
    wanted = peft.LoraConfig(r=3, lora_alpha=6, lora_dropout=0.0, target_modules=names)
    theirs = peft.get_peft_model(theirs, wanted)
    with torch.no_grad():
        for name, module in ours.named_modules():
            if hasattr(module, "lora_a"):
                layer = theirs.get_submodule(f"base_model.model.{name}")
                layer.lora_A["default"].weight.copy_(torch.from_numpy(np.array(module.lora_a).T))
                layer.lora_B["default"].weight.copy_(torch.from_numpy(np.array(module.lora_b).T))
    return torch, theirs, ours, keys


@pytest.mark.parametrize("techniques", TECHNIQUES)
def test_loss_and_gradient_are_those_of_the_paper_in_torch(in_torch, techniques):
    """Equation 7, written down once more; the reference is the base, its adapters off."""
    torch, theirs, ours, keys = in_torch
    pairs, beta = pairs_of(np.random.default_rng(7), 3), 0.4

    def log_probability(reply):
        logits = theirs(input_ids=torch.tensor(reply.ids[None].astype(np.int64))).logits[0, :-1]
        chosen = torch.log_softmax(logits, -1).gather(1, torch.tensor(reply.ids[1:, None].astype(np.int64)))
        return chosen[reply.reply_start - 1 :].sum()

    theirs.zero_grad()
    total, known = torch.tensor(0.0), []
    for pair in pairs:
        with torch.no_grad(), theirs.disable_adapter():
            good, bad = log_probability(pair.chosen), log_probability(pair.rejected)
        known.append(replace(pair, reference=float(good - bad)))
        ratios = log_probability(pair.chosen) - good, log_probability(pair.rejected) - bad
        total = total - torch.nn.functional.logsigmoid(beta * (ratios[0] - ratios[1]))
    total.backward()
    loss, grads = loss_and_gradient(ours, keys, known, techniques, beta)
    assert loss == pytest.approx(total.item(), rel=1e-4)
    for name, grad in grads.items():
        path, which = name.rsplit(".", 1)
        layer = theirs.get_submodule(f"base_model.model.{path}")
        weight = (layer.lora_A if which == "lora_a" else layer.lora_B)["default"].weight
        assert relative_difference(grad, weight.grad.numpy().T) < 5e-4, name


# -- what is set against what --------------------------------------------------------------------


def lesson(accept, start=Path(), **given) -> Lesson:
    return Lesson(start=start, data=dataset(), accept=accept, **given)


def test_each_rejected_reply_has_a_better_one_beside_it():
    said = [
        [Draw("good", True), Draw("bad", True), Draw("worse", True), Draw("bad", True), Draw("fine", True)],
        [Draw("bad", True), Draw("good", False)],  # the good one was not ended
        [Draw("good", True), Draw("fine", True)],  # nothing to learn
        [Draw(" ", True), Draw("good", True)],  # nothing was said
    ]
    about = lesson(lambda number, text: text in ("good", "fine"))
    theirs = about.data.train[1][-1].content
    assert [(one.number, one.chosen, one.rejected.text) for one in contrasts(said, about)] == [
        (0, "good", "bad"),
        (0, "fine", "worse"),
        (1, theirs, "bad"),
        (1, theirs, "good"),
    ]


# -- whole runs ----------------------------------------------------------------------------------

CHANGES = {
    "epochs": 2,
    "dropout": 0.0,
    "learning_rate": 2e-3,
    "warmup_steps": 2,
    "draws": 3,
    "max_length": 24,
}
CONFIG = PreferenceConfig(**SETTINGS | CHANGES)


def accept(number: int, text: str) -> bool:
    return text.count("w") % 2 == 0


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A base and a run on it to go on from."""
    base = model_folder(tmp_path_factory.mktemp("base"), num_hidden_layers=2, hidden_size=32)
    start = tmp_path_factory.mktemp("runs") / "start"
    config = TrainConfig(**SETTINGS | {"epochs": 1, "max_length": 24})
    run.fine_tune(loading.load(str(base)), dataset(), config, start, quiet=True)
    return base, start


def prefer(begun, out, config=CONFIG, **given):
    base, start = begun
    return preference.prefer(loading.load(str(base)), lesson(accept, start), config, out, quiet=True, **given)


@pytest.fixture(scope="module", params=["dpo", "rejection"])
def left_alone(request, begun, tmp_path_factory):
    out = tmp_path_factory.mktemp("preferred") / request.param
    return prefer(begun, out, replace(CONFIG, learn_by=request.param)), request.param


def outcome(out: Path):
    rows = read_metrics(out)
    losses = [(row["number"], row["loss"]) for row in rows if row["event"] in ("step", "valid")]
    return (out / "adapters.safetensors").read_bytes(), losses


def test_a_run_goes_on_from_the_adapters_of_its_start(begun, left_alone):
    result, how = left_alone
    first = read_metrics(result.run)[0]["loss"]
    assert result.steps > 2
    if how == "dpo":
        assert first == pytest.approx(math.log(2), rel=1e-4)
        assert read_metrics(result.run)[-2]["loss"] != first
    before, after = (loading.load(str(begun[0])) for _ in range(2))
    adapter.load(begun[1], before)
    adapter.load(result.run, after)
    moved = [
        float(mx.abs(b - a).max().item())
        for a, b in zip(
            adapter.arrays(before.model).values(), adapter.arrays(after.model).values(), strict=True
        )
    ]
    assert 0 < max(moved) < 0.2


def test_what_the_start_was_trained_on_counts_as_trained_on(begun, left_alone):
    assert record.trained_rows(begun[1]) < record.trained_rows(left_alone[0].run)


@pytest.mark.parametrize("step", [1, 3])
def test_stopped_and_resumed_is_left_alone(begun, left_alone, tmp_path, monkeypatch, step):
    result, how = left_alone
    config, out, taken = replace(CONFIG, learn_by=how), tmp_path / "stopped", run._Run._between

    def between(self, one, pending):
        taken(self, one, [signal.SIGTERM] if one.number == step else pending)

    with monkeypatch.context() as patch:
        patch.setattr(run._Run, "_between", between)
        with pytest.raises(run.InterruptedRunError):
            prefer(begun, out, config)
    prefer(begun, out, config, resume=True)
    assert outcome(out) == outcome(result.run)


def test_killed_while_drawing_and_begun_again_is_left_alone(begun, left_alone, tmp_path, monkeypatch):
    _, how = left_alone
    config, out = replace(CONFIG, learn_by=how), tmp_path / "killed"
    monkeypatch.setattr(preference, "CHUNK", 4)
    whole = prefer(begun, tmp_path / "whole", config)
    taken, calls = preference.generate, []

    def generate(*arguments, **given):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return taken(*arguments, **given)

    with monkeypatch.context() as patch:
        patch.setattr(preference, "generate", generate)
        with pytest.raises(KeyboardInterrupt):
            prefer(begun, out, config)
        assert len(json.loads((out / "draws.json").read_text())["values"]) == 4
        prefer(begun, out, config)
    assert len(calls) == 2 + 2  # the first chunk was not drawn again
    assert outcome(out) == outcome(whole.run)


def test_another_judgement_is_refused_on_resuming(begun, left_alone, tmp_path, monkeypatch):
    _, how = left_alone
    taken = run._Run._between
    with monkeypatch.context() as patch:
        patch.setattr(run._Run, "_between", lambda self, one, pending: taken(self, one, [signal.SIGTERM]))
        with pytest.raises(run.InterruptedRunError):
            prefer(begun, tmp_path / "run", replace(CONFIG, learn_by=how))
    base, start = begun
    with pytest.raises(RefusedError, match="goes on from has changed"):
        preference.prefer(
            loading.load(str(base)),
            lesson(lambda number, text: not accept(number, text), start),
            replace(CONFIG, learn_by=how),
            tmp_path / "run",
            resume=True,
            quiet=True,
        )


def test_a_damaged_file_of_draws_is_refused(begun, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "draws.json").write_text('{"identity": ')
    with pytest.raises(RefusedError, match=r"draws\.json: damaged"):
        prefer(begun, tmp_path / "run")


def test_nothing_rejected_is_nothing_to_learn(begun, tmp_path, monkeypatch):
    base, start = begun
    monkeypatch.setattr(
        preference,
        "generate",
        lambda model, tokenizer, prompts, **_: [Generation("w1", 2, True)] * len(prompts),
    )
    with pytest.raises(DataError, match="all 30 replies drawn are accepted"):
        preference.prefer(
            loading.load(str(base)),
            lesson(lambda number, text: True, start),
            CONFIG,
            tmp_path / "run",
            quiet=True,
        )


def test_another_shape_of_adapters_is_refused(begun, tmp_path):
    with pytest.raises(ConfigError, match="'rank' is 8; the adapters of .* were trained with 4"):
        prefer(begun, tmp_path / "run", replace(CONFIG, rank=8))


def test_a_folder_with_something_in_it_is_refused(begun, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ExistsError):
        prefer(begun, tmp_path)
