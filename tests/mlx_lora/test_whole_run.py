"""A whole run equals the same run in transformers and PEFT with torch.optim.AdamW."""

from dataclasses import replace
from itertools import islice

import mlx.core as mx
import numpy as np
import pytest
from mlx.optimizers import AdamW
from model_folders import VOCABULARY, model_folder

from lendsafe.mlx_lora.config import LoraConfig, TrainConfig
from lendsafe.mlx_lora.exchange import adapter, loading
from lendsafe.mlx_lora.exchange.targets import adapters, add_adapters
from lendsafe.mlx_lora.runs import train
from lendsafe.mlx_lora.runs.parallel import Parallel
from lendsafe.mlx_lora.step.batches import windows
from lendsafe.mlx_lora.step.objective import Objective
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

LOSSES, WEIGHTS = 1e-4, 1e-3  # largest differences allowed
STEPS, EXAMPLES = 60, 11  # three windows an epoch, the last of 3 examples
# Fifteen times the recipe's rate. At fifty times, rounding that AdamW amplifies parts the runs by 1.9e-4.
RATE, CLIP = 3e-3, 0.35
LORA = LoraConfig(rank=4, alpha=8.0, dropout=0.0, targets=("q_proj", "k_proj", "v_proj", "o_proj"))
CONFIG = TrainConfig(
    batch_size=2,
    grad_accum=2,
    epochs=20,
    warmup_steps=10,
    learning_rate=RATE,
    weight_decay=0.0,
    clip_norm=CLIP,
    dropout=0.0,
    seed=7,
)


def examples() -> list[Tokens]:
    """Prompts with a prefix in common and replies of 1 to 12 tokens."""
    rng = np.random.default_rng(11)
    prefix = rng.integers(3, VOCABULARY, 5)
    found = []
    for number in range(EXAMPLES):
        prompt = np.concatenate([prefix, rng.integers(3, VOCABULARY, int(rng.integers(1, 9)))])
        reply = rng.integers(3, VOCABULARY, number + 1 + number % 2)
        found.append(Tokens(np.concatenate([prompt, reply]).astype(np.int32), len(prompt)))
    return found


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A base model, and the adapter every run starts from."""
    path = tmp_path_factory.mktemp("whole_run")
    base = loading.load(str(model_folder(path / "base", num_hidden_layers=2)), precision="float32")
    mx.random.seed(0)
    add_adapters(base.model, LORA)
    (path / "start").mkdir()
    adapter.save(path / "start", base.model, LORA, base)
    return path


def run_of_ours(folders, config: TrainConfig = CONFIG, *, stop: int = STEPS):
    """Steps and final adapter, micro-batches of about 40 tokens."""
    base = loading.load(str(folders / "base"), precision="float32")
    keys = adapter.load(folders / "start", base).keys
    task = train.Task(
        model=base.model,
        examples=examples(),
        config=config,
        total=STEPS,
        keys=keys,
        budget=40,
        techniques=Techniques(),
        parallel=Parallel(),
    )
    steps = list(islice(train.train(task, train.new_state(config, mx.float32)), stop))
    return steps, {
        name: (np.array(layer.lora_a).T, np.array(layer.lora_b).T)
        for name, layer in adapters(base.model).items()
    }


@pytest.fixture(scope="module")
def run_of_theirs(folders):
    """Losses, gradient norms and the trained model; one example at a time, so nothing is padded or masked."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folders / "base", dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(model, folders / "start", is_trainable=True).train()
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: (done + 1) / 10 if done < 10 else (60 - done) / 50
    )
    rows, losses, norms = examples(), [], []
    order = [window for epoch in range(20) for window in windows(EXAMPLES, 4, CONFIG.seed, epoch)]
    for window in order:
        batch = [rows[i] for i in window]
        count = sum(len(one.ids) - one.reply_start for one in batch)
        loss = sum(reply_loss(model, one) for one in batch) / count
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(learned, CLIP).item())
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return np.array(losses), np.array(norms), model


def reply_loss(model, one: Tokens):
    """Summed cross-entropy of the reply's tokens."""
    ids = torch.tensor(one.ids[None].astype(np.int64))
    logits = model(input_ids=ids).logits[0, one.reply_start - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, ids[0, one.reply_start :], reduction="sum")


def largest_difference(steps, losses) -> float:
    return float(np.abs(np.array([step.loss for step in steps]) - losses[: len(steps)]).max())


def test_sixty_steps_equal_those_of_transformers_peft_and_torch(folders, run_of_theirs):
    losses, norms, model = run_of_theirs
    steps, final = run_of_ours(folders)
    assert len(steps) == len(losses) == STEPS
    assert losses[-3:].mean() < losses[:3].mean() - 0.3  # it learns, or equality would say little
    assert (norms > CLIP).any()  # clipping is at work,
    assert (norms < CLIP).any()  # but not always
    assert largest_difference(steps, losses) < LOSSES
    np.testing.assert_allclose([step.grad_norm for step in steps], norms, rtol=1e-3)
    assert len(final) == 2 * 4  # q, k, v, o in two layers
    for name, (a, b) in final.items():
        layer = model.get_submodule(f"base_model.model.{name}")
        theirs_a, theirs_b = (one["default"].weight.detach().numpy() for one in (layer.lora_A, layer.lora_B))
        np.testing.assert_allclose(a, theirs_a, atol=WEIGHTS, err_msg=name)
        np.testing.assert_allclose(b, theirs_b, atol=WEIGHTS, err_msg=name)


def without_bias_correction(*args, **kwargs):
    return AdamW(*args, **(kwargs | {"bias_correction": False}))


def with_one_target_too_many(batch):
    return sum(len(one.ids) - one.reply_start + 1 for one in batch)


def in_file_order(count, window, *_):
    return [list(range(start, min(start + window, count))) for start in range(0, count, window)]


MISTAKES = {
    "AdamW": without_bias_correction,
    "count": with_one_target_too_many,
    "windows": in_file_order,
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_would_be_seen(folders, run_of_theirs, monkeypatch, name):
    if name == "count":  # of an objective, which is frozen
        monkeypatch.setattr(Objective, name, property(lambda _: MISTAKES[name]))
    else:
        monkeypatch.setattr(train, name, MISTAKES[name])
    steps, _ = run_of_ours(folders, stop=9)
    assert largest_difference(steps, run_of_theirs[0]) > 10 * LOSSES


@pytest.mark.parametrize("change", [{"warmup_steps": 9}, {"clip_norm": 0.0}, {"weight_decay": 0.3}], ids=str)
def test_another_setting_would_be_seen(folders, run_of_theirs, change):
    steps, _ = run_of_ours(folders, replace(CONFIG, **change), stop=15)
    assert largest_difference(steps, run_of_theirs[0]) > 3 * LOSSES
