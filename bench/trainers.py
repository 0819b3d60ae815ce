"""The trainers to compare: each takes one optimiser step on the same weights, adapters and window.

Every trainer gets a window of examples and returns its loss in nats per learned token before the step.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.optimizers import AdamW
from mlx.utils import tree_flatten, tree_map

from bench.models import model_with
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange.loading import named_arrays
from lendsafe.mlx_lora.exchange.targets import adapters, add_adapters
from lendsafe.mlx_lora.runs.parallel import Parallel
from lendsafe.mlx_lora.runs.train import Task, new_state, train
from lendsafe.mlx_lora.step.batches import micro_batches
from lendsafe.mlx_lora.step.batches import windows as epoch_windows
from lendsafe.mlx_lora.step.loss import learned_tokens, loss_sum
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens

Window = Sequence[Tokens]


@dataclass(frozen=True)
class Setting:
    """What all trainers of one comparison share.

    Attributes:
        shape: Model configuration.
        weights: Base weights, shared and never written.
        config: Recipe.
        dtype: Type of base and activations.
    """

    shape: dict[str, Any]
    weights: dict[str, mx.array]
    config: TrainConfig
    dtype: mx.Dtype


class Trainer(Protocol):
    """One way to train."""

    name: str

    def loss(self, window: Window) -> float:
        """Nats per learned token, without dropout and without a step."""

    def step(self, window: Window, rate: float | None = None) -> float:
        """Take an optimiser step, at the first step's learning rate or a given one; returns when it is computed."""

    def adapter(self) -> dict[str, mx.array]:
        """The adapter as mlx-lm's files name and shape it, float32."""

    def active_bytes(self) -> int:
        """Bytes held now: weights, adapters, optimiser."""

    def reset_peak(self) -> None:
        """Start measuring the peak anew."""

    def peak_bytes(self) -> int:
        """Largest number of bytes held since then."""


class MLXMemory:
    """Memory as MLX counts it; what it has freed and kept is not in it, and stays kept for the next step."""

    def active_bytes(self) -> int:
        return int(mx.get_active_memory())

    def reset_peak(self) -> None:
        mx.reset_peak_memory()

    def peak_bytes(self) -> int:
        return int(mx.get_peak_memory())


class Ours(MLXMemory):
    """This package: one training loop, so that what it compiles and keeps ready serves every step.

    Args:
        setting: Weights and recipe.
        windows: Windows in the order of the steps to come, all but the last of the recipe's size; over again after
            the last, in an order of their own.
        budget: Tokens at a time.
        techniques: How.
        name: What to call it.
        total: Steps of the schedule of learning rates; those of all epochs if None.
    """

    def __init__(
        self,
        setting: Setting,
        windows: Sequence[Window],
        *,
        budget: int,
        techniques: Techniques,
        name: str = "lendsafe",
        total: int | None = None,
    ) -> None:
        self.name = name
        self._setting, self._budget, self._techniques = setting, budget, techniques
        self._model = model_with(setting.shape, setting.weights, quantize=setting.config.quantize)
        keys = add_adapters(self._model, setting.config, seed=setting.config.seed).keys
        self._state = new_state(setting.config, setting.dtype)
        task = Task(
            model=self._model,
            examples=_in_reading_order(windows, setting.config),
            config=setting.config,
            total=total or setting.config.epochs * len(windows),
            keys=keys,
            budget=budget,
            techniques=techniques,
            parallel=Parallel(),
        )
        self._steps = train(task, self._state)

    def held_bytes(self) -> int:
        """Bytes of model, adapters and optimiser."""
        held = [self._model.parameters(), self._state.optimizer.state]
        return sum(array.nbytes for tree in held for array in named_arrays(tree).values())

    def loss(self, window: Window) -> float:
        parts = [
            loss_sum(self._model, batch, self._techniques) for batch in micro_batches(window, self._budget)
        ]
        return float(sum(parts, mx.array(0.0)).item()) / learned_tokens(window)

    def adapter(self) -> dict[str, mx.array]:
        return named_arrays(self._model.trainable_parameters())

    def step(self, window: Window, rate: float | None = None) -> float:  # noqa: ARG002  # it has its own
        return next(self._steps).loss


def _in_reading_order(windows: Sequence[Window], config: TrainConfig) -> list[Tokens]:
    """Examples that the first epoch takes window by window as given."""
    flat = [one for window in windows for one in window]
    places = [i for window in epoch_windows(len(flat), config.window, config.seed, 0) for i in window]
    return [one for _, one in sorted(zip(places, flat, strict=True), key=lambda pair: pair[0])]


class MLXLM(MLXMemory):
    """mlx-lm's trainer: its adapters, its loss, its padding, its compiled step.

    Its loss learns one padding token per example; the lengths given to it leave that out, so that
    it computes what the others compute.
    """

    name = "mlx-lm"

    def __init__(self, setting: Setting) -> None:
        from mlx_lm.tuner.trainer import default_loss
        from mlx_lm.tuner.utils import linear_to_lora_layers

        config = setting.config
        self._batch_size = config.batch_size
        self._model = model_with(setting.shape, setting.weights, quantize=config.quantize)
        found = _adapter_arrays(setting)
        keys = {path.split(".", 3)[3] for path in found}
        table = {"rank": config.rank, "scale": config.scale, "dropout": config.dropout, "keys": keys}
        linear_to_lora_layers(self._model, len(self._model.layers), table)
        self._model.load_weights(
            [(f"{path}.{which}", array) for path, arrays in found.items() for which, array in arrays.items()],
            strict=False,
        )
        self._model.train()
        self._optimizer = AdamW(config.learning_rate / (config.warmup_steps or 1), weight_decay=0.0)
        self._optimizer.init(self._model.trainable_parameters())
        gradient = nn.value_and_grad(self._model, default_loss)
        batches = config.grad_accum
        state = [self._model.state, self._optimizer.state, mx.random.state]
        optimizer, model = self._optimizer, self._model

        def step(tokens: mx.array, lengths: mx.array, before: Any, update: bool) -> Any:
            (loss, count), grads = gradient(model, tokens, lengths)
            if before is not None:
                grads = tree_map(mx.add, grads, before)
            if update:
                optimizer.update(model, tree_map(lambda g: g / batches, grads))
                grads = None
            return loss, count, grads

        self._loss = default_loss
        self._state = state
        self._step = mx.compile(step, inputs=state, outputs=state)

    def loss(self, window: Window) -> float:
        self._model.eval()
        total = 0.0
        for batch in _chunks(sorted(window, key=len), self._batch_size):
            loss, count = self._loss(self._model, *_padded_like_mlx_lm(batch))
            total += loss.item() * count.item()
        self._model.train()
        return total / learned_tokens(window)

    def adapter(self) -> dict[str, mx.array]:
        return named_arrays(self._model.trainable_parameters())

    def step(self, window: Window, rate: float | None = None) -> float:
        if rate is not None:
            self._optimizer.learning_rate = rate
        total, learned, grads = 0.0, 0, None
        batches = list(_chunks(sorted(window, key=len), self._batch_size))
        for number, batch in enumerate(batches):
            tokens, lengths = _padded_like_mlx_lm(batch)
            loss, count, grads = self._step(tokens, lengths, grads, number == len(batches) - 1)
            mx.eval(self._state, loss, count, grads)
            mx.clear_cache()  # as its trainer does at its default threshold
            total, learned = total + loss.item() * count.item(), learned + count.item()
        return total / learned


class PEFT:
    """transformers and PEFT: padded batches, summed token loss divided once, ``torch.optim.AdamW``."""

    name = "transformers + PEFT"

    def __init__(self, setting: Setting) -> None:
        import torch

        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        config = setting.config
        self._batch_size = config.batch_size
        self._paths = list(_adapter_arrays(setting))
        self._model = _peft_model(setting, self._device)
        self._parameters = [p for p in self._model.parameters() if p.requires_grad]
        rate = config.learning_rate / (config.warmup_steps or 1)
        self._optimizer = torch.optim.AdamW(self._parameters, lr=rate, weight_decay=0.0)

    def loss(self, window: Window) -> float:
        self._model.eval()
        with self._torch.no_grad():
            total = sum(float(part) for part in self._losses(window))
        self._model.train()
        return total

    def _losses(self, window: Window) -> Iterator[Any]:
        learned = learned_tokens(window)
        for batch in _chunks(sorted(window, key=len), self._batch_size):
            arrays = (self._torch.from_numpy(a).to(self._device) for a in _padded_like_transformers(batch))
            ids, mask, labels = arrays
            yield self._model(
                input_ids=ids, attention_mask=mask, labels=labels, num_items_in_batch=learned
            ).loss

    def adapter(self) -> dict[str, mx.array]:
        found = {}
        for path in self._paths:
            layer = self._model.get_submodule(f"base_model.model.{path}")
            for side, which in (("lora_A", "lora_a"), ("lora_B", "lora_b")):
                weight = getattr(layer, side)["default"].weight.detach().float().cpu().numpy()
                found[f"{path}.{which}"] = mx.array(weight.T.copy())
        return found

    def step(self, window: Window, rate: float | None = None) -> float:
        if rate is not None:
            for group in self._optimizer.param_groups:
                group["lr"] = rate
        torch = self._torch
        total = torch.zeros((), device=self._device)
        for loss in self._losses(window):
            loss.backward()
            total += loss.detach().float()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return float(total)

    def active_bytes(self) -> int:
        return int(self._torch.cuda.memory_allocated()) if self._device == "cuda" else 0

    def reset_peak(self) -> None:
        if self._device == "cuda":
            self._torch.cuda.reset_peak_memory_stats()

    def peak_bytes(self) -> int:
        return int(self._torch.cuda.max_memory_allocated()) if self._device == "cuda" else 0


def same_losses(losses: dict[str, float], tolerance: float) -> None:
    """Refuse to time trainers that did not compute the same loss.

    Raises:
        ValueError: Naming them.
    """
    if not all(map(math.isfinite, losses.values())) or (
        max(losses.values()) - min(losses.values()) > tolerance * min(losses.values())
    ):
        raise ValueError(
            "the trainers disagree on the loss: " + ", ".join(f"{k} {v:.6f}" for k, v in losses.items())
        )


def _adapter_arrays(setting: Setting) -> dict[str, dict[str, mx.array]]:
    """The adapters that we start from, by layer."""
    model = model_with(setting.shape, setting.weights)
    add_adapters(model, setting.config, seed=setting.config.seed)
    return {path: {"lora_a": m.lora_a, "lora_b": m.lora_b} for path, m in adapters(model).items()}


def _chunks(items: Sequence[Tokens], size: int) -> list[Sequence[Tokens]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _padded_like_mlx_lm(batch: Window) -> tuple[mx.array, mx.array]:
    """One more than a multiple of 32 wide; each example's first and last learned position."""
    width = 1 + 32 * -(-max(map(len, batch)) // 32)
    tokens = np.zeros((len(batch), width), np.int32)
    for row, one in enumerate(batch):
        tokens[row, : len(one)] = one.ids
    return mx.array(tokens), mx.array([(one.reply_start, len(one) - 1) for one in batch])


def _padded_like_transformers(batch: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Padded to the longest: ids, attention mask, labels with -100 where nothing is learned."""
    shape = (len(batch), max(map(len, batch)))
    ids, mask, labels = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.full(shape, -100, np.int64)
    for row, one in enumerate(batch):
        ids[row, : len(one)], mask[row, : len(one)] = one.ids, 1
        labels[row, one.reply_start : len(one)] = one.ids[one.reply_start :]
    return ids, mask, labels


def _peft_model(setting: Setting, device: str) -> Any:
    """The same model in transformers with PEFT's adapters, all numbers copied."""
    import peft
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    dtype = getattr(torch, str(setting.dtype).removeprefix("mlx.core."))
    described = {key: value for key, value in setting.shape.items() if key != "model_type"}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            AutoConfig.for_model(setting.shape["model_type"], **described)
        ).to(dtype)
    model = model.to_empty(device=device)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(_stored_as_transformers(name, setting.weights))
    _restore_buffers(model, device)
    model.tie_weights()
    config = setting.config
    model.requires_grad_(requires_grad=False)
    model = peft.get_peft_model(
        model,
        peft.LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,
            lora_dropout=config.dropout,
            target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
        ),
    )
    with torch.no_grad():
        for path, arrays in _adapter_arrays(setting).items():
            layer = model.get_submodule(f"base_model.model.{path}")
            for side, which in (("lora_A", "lora_a"), ("lora_B", "lora_b")):
                weight = getattr(layer, side)["default"].weight
                weight.data = torch.from_numpy(np.array(arrays[which]).T.copy()).to(device)
    return model.train()


def _restore_buffers(model: Any, device: str) -> None:
    """Rotary frequencies are computed at construction, which a model without storage skips."""
    model.model.rotary_emb = type(model.model.rotary_emb)(model.config).to(device)


def _stored_as_transformers(name: str, weights: dict[str, mx.array]) -> Any:
    """A parameter of transformers' model, from our names; the weights themselves stay where they are."""
    import torch

    def tensor(one: str) -> Any:
        array = weights[one]
        with mx.stream(
            mx.cpu
        ):  # a copy: reading an array itself would move it to memory that CPU and GPU share
            copied = array.astype(mx.float32) if array.dtype == mx.bfloat16 else mx.array(array) * 1
        return torch.from_numpy(np.array(copied))

    moe = name.rsplit(".experts.", 1)[0]
    if name.endswith("experts.gate_up_proj"):
        parts = [tensor(f"{moe}.switch_mlp.{part}_proj.weight") for part in ("gate", "up")]
        return torch.cat(parts, dim=1)
    if name.endswith("experts.down_proj"):
        return tensor(f"{moe}.switch_mlp.down_proj.weight")
    if name.endswith("router.weight"):
        return tensor(name.replace("router.weight", "router.layer.weight"))
    if name == "lm_head.weight" and name not in weights:
        return tensor("model.embed_tokens.weight")
    return tensor(name)


def parameters_bytes(weights: dict[str, mx.array]) -> int:
    """Bytes of a model's arrays."""
    return sum(array.nbytes for _, array in tree_flatten(weights))
