"""Granite models of a few thousand parameters, batches for them, and gradients to compare."""

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from hypothesis import strategies as st
from mlx.utils import tree_flatten

from lendsafe.mlx_lora.config import LoraConfig
from lendsafe.mlx_lora.exchange.loading import empty_model
from lendsafe.mlx_lora.exchange.targets import Adapted, add_adapters
from lendsafe.mlx_lora.step.layers import LORA_LAYERS
from lendsafe.mlx_lora.step.loss import loss_sum
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens

VOCABULARY = 61


def small_config(architecture: str = "granitemoe", **changes: Any) -> dict[str, Any]:
    """Configuration with Granite's multipliers, all different from 1."""
    return {
        "model_type": architecture,
        "architectures": [
            {"granitemoe": "GraniteMoeForCausalLM", "granite": "GraniteForCausalLM"}[architecture]
        ],
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "intermediate_size": 24,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-5,
        "vocab_size": VOCABULARY,
        "logits_scaling": 2.0,
        "attention_multiplier": 0.3,
        "embedding_multiplier": 3.0,
        "residual_multiplier": 0.6,
        "max_position_embeddings": 512,
        "attention_bias": False,
        "mlp_bias": False,
        "rope_theta": 10000.0,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    } | changes


def small_model(architecture: str = "granitemoe", *, seed: int = 0, **changes: Any) -> nn.Module:
    """A frozen model with random weights.

    The router's are large, so that no rounding error is large enough to choose another expert.
    """
    mx.random.seed(seed)
    model = empty_model(small_config(architecture, **changes))
    for layer in model.model.layers:
        if "block_sparse_moe" in layer:
            router = layer.block_sparse_moe.router.layer
            router.weight = router.weight * 5
    model.freeze()
    mx.eval(model.parameters())
    return model


def adapt(model: nn.Module, *targets: str, dropout: float = 0.0, rank: int = 3) -> Adapted:
    """Put adapters on; none of their arrays is zero, so that every gradient is at work."""
    adapted = add_adapters(model, LoraConfig(rank=rank, alpha=6.0, dropout=dropout, targets=targets))
    for number, (_, module) in enumerate(model.named_modules()):
        if isinstance(module, LORA_LAYERS):
            module.lora_b = mx.random.normal(module.lora_b.shape, key=mx.random.key(number)) * 0.2
    mx.eval(model.parameters())
    return adapted


def loss_and_gradients(
    model: nn.Module, batch: list[Tokens], techniques: Techniques
) -> tuple[float, dict[str, np.ndarray]]:
    """Loss sum and the gradient of every adapter array."""
    loss, grads = nn.value_and_grad(model, lambda: loss_sum(model, batch, techniques))()
    mx.eval(loss, grads)
    return loss.item(), {name: np.array(grad) for name, grad in tree_flatten(grads)}


def plain_loss_and_gradients(model: nn.Module, batch: list[Tokens]) -> tuple[float, dict[str, np.ndarray]]:
    """The same, one example at a time through the model's own forward pass: nothing padded, shared or skipped."""

    def plain() -> mx.array:
        total = mx.array(0.0)
        for one in batch:
            logits = model(mx.array(one.ids[None, :-1]))[0, one.reply_start - 1 :]
            targets = mx.array(one.ids[one.reply_start :])
            total = total + nn.losses.cross_entropy(logits, targets, reduction="sum")
        return total

    loss, grads = nn.value_and_grad(model, plain)()
    mx.eval(loss, grads)
    return loss.item(), {name: np.array(grad) for name, grad in tree_flatten(grads)}


def relative_difference(got: np.ndarray, expected: np.ndarray) -> float:
    """Norm of the difference as a share of the norm of what was expected."""
    return float(np.linalg.norm(got - expected) / max(np.linalg.norm(expected), 1e-12))


def example(rng: np.random.Generator, prefix: np.ndarray, prompt: int, reply: int) -> Tokens:
    """The prefix, ``prompt`` further tokens, and a reply of ``reply`` tokens."""
    own = rng.integers(3, VOCABULARY, prompt + reply)
    return Tokens(np.concatenate([prefix, own]).astype(np.int32), len(prefix) + prompt)


@st.composite
def batches(draw: st.DrawFn, largest: int = 4) -> list[Tokens]:
    """One to ``largest`` ragged examples that share a prefix, short or long enough to share, or their prompt."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    prefix = rng.integers(3, VOCABULARY, draw(st.integers(0, 9) | st.integers(15, 24)))
    shortest = 0 if len(prefix) else 1  # a prompt has at least one token
    sizes = st.tuples(st.integers(shortest, 6), st.integers(1, 7))
    return [example(rng, prefix, *size) for size in draw(st.lists(sizes, min_size=1, max_size=largest))]
