"""The training step's forward pass without a wasted token, for Granite (dense and mixture).

Every token of a micro-batch sits on one flat axis: norms, projections, router, experts and adapters
see no padding. The prefix that all sequences share is computed once. Attention alone is batched:
the prefix attends to itself; each sequence's own part, padded on the right, attends to the prefix and to
itself with MLX's causal mask, which aligns to the lower right, so that no mask array is needed. The last
layer and the vocabulary projection are computed only where there is something to learn.

Exact: equal to the plain forward pass up to rounding (``tests/mlx_lora/test_packed.py``). With dropout the
shared prefix draws one mask per micro-batch instead of one per sequence: the same distribution.

Shapes: N flat tokens, P prefix tokens, B sequences, L longest own part, M learned positions, D hidden,
H heads, G key-value heads, K experts per token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.step import pointwise
from lendsafe.mlx_lora.step.layers import grouped_linear
from lendsafe.mlx_lora.step.recompute import computed_again
from lendsafe.mlx_lora.step.routing import Route
from lendsafe.mlx_lora.step.rows import NOWHERE, RowMap, copy_to_slots, sum_slots
from lendsafe.mlx_lora.tokens import Tokens

ARCHITECTURES = ("granitemoe", "granite")
# MLX on Metal has no gradient of an attention with 8 queries or fewer (0.32.4: its vector kernels keep no
# log-sum-exp). Nothing shorter than this is attended from on its own; sharing so little is not worth it either.
SHORTEST = 16


@dataclass(frozen=True)
class Techniques:
    """What the step does beside packing, each to be switched off to see what it is worth.

    Attributes:
        share_prefix: Compute the prefix that all sequences share once (:func:`common_prefix`).
        gate_first: Gate the expert's hidden activation, not its output (:func:`_mixture`).
        group_experts: Give each expert its rows in blocks (:class:`~lendsafe.mlx_lora.step.routing.Route`).
        trim_last: Compute the last layer only where the loss looks (:func:`_trimmed_block`).
        fuse_loss: Loss and its gradient in one pass, a chunk of logits at a time
            (:func:`~lendsafe.mlx_lora.step.loss.projected_loss_with_gradient`).
        sort_lengths: Put examples of similar lengths into a micro-batch (:func:`~lendsafe.mlx_lora.step.batches.cut`).
        side_by_side: On the CPU, a micro-batch on each core (:func:`~lendsafe.mlx_lora.step.workers.summed`).
        ahead: Else prepare a micro-batch while the one before is computed (there as well).
        recompute: ``none``, ``experts`` or ``layer``: what the backward pass computes again.
    """

    share_prefix: bool = True
    gate_first: bool = True
    group_experts: bool = True
    trim_last: bool = True
    fuse_loss: bool = True
    sort_lengths: bool = True
    side_by_side: bool = True
    ahead: bool = True
    recompute: str = "none"

    @property
    def workers(self) -> int:
        """Micro-batches that are computed side by side."""
        return backend.workers() if self.side_by_side else 1


class Layout:
    """Where each token of a micro-batch sits, worked out on the host.

    Args:
        batch: Sequences with at least one learned token each.
        share_prefix: Whether to place the common prefix once.
    """

    def __init__(self, batch: Sequence[Tokens], *, share_prefix: bool = True) -> None:
        inputs = [one.ids[:-1] for one in batch]
        prefix = common_prefix(batch) if share_prefix and len(batch) > 1 else 0
        own = [len(ids) - prefix for ids in inputs]
        starts = np.cumsum([0, *own[:-1]])
        length = max(*own, SHORTEST)
        self.prefix, self.length, self.sequences = prefix, length, len(batch)
        self.tokens_N = mx.array(
            np.concatenate([inputs[0][:prefix], *(i[prefix:] for i in inputs)]).astype(np.int32)
        )
        self.positions_N = mx.array(
            np.concatenate([np.arange(prefix), *(prefix + np.arange(n) for n in own)]).astype(np.int32)
        )
        padded = np.full((len(batch), length), NOWHERE)
        rows, slots = [], []
        for b, (one, n, start) in enumerate(zip(batch, own, starts, strict=True)):
            padded[b, :n] = start + np.arange(n)
            learned = np.arange(one.reply_start - 1, len(one.ids) - 1) - prefix  # predicts the next token
            rows.append(start + learned)
            slots.append(b * length + learned)
        flat_slots = np.flatnonzero(padded.ravel() != NOWHERE)
        self.pad = RowMap(padded.ravel(), sum(own))
        self.unpad = RowMap(flat_slots, len(batch) * length)
        self.learned = RowMap(prefix + np.concatenate(rows), prefix + sum(own))
        slot_of_row = np.full(len(batch) * length, NOWHERE)
        slot_of_row[np.concatenate(slots)] = np.arange(sum(map(len, rows)))
        self.pad_learned = RowMap(slot_of_row, sum(map(len, rows)))
        self.unpad_learned = RowMap(np.concatenate(slots), len(batch) * length)
        self.positions_M = mx.array((prefix + np.concatenate(slots) % length).astype(np.int32))
        self.targets_M = mx.array(
            np.concatenate([one.ids[one.reply_start :] for one in batch]).astype(np.int32)
        )


def common_prefix(batch: Sequence[Tokens]) -> int:
    """Length of the prefix that all sequences share, 0 if it is shorter than :data:`SHORTEST`.

    The position before each reply stays outside.
    """
    first = batch[0].ids
    limit = min(one.reply_start - 1 for one in batch)
    for one in batch[1:]:
        differing = np.flatnonzero(first[:limit] != one.ids[:limit])
        limit = int(differing[0]) if differing.size else limit
    return limit if limit >= SHORTEST else 0


def supports(model: nn.Module) -> bool:
    """Whether the packed forward pass knows this model's layers."""
    return getattr(model, "model_type", "") in ARCHITECTURES


def hidden_states(model: nn.Module, layout: Layout, techniques: Techniques) -> mx.array:
    """Final hidden states at the learned positions, ``(M, D)``, after the last norm."""
    core = model.model
    x = core.embed_tokens(layout.tokens_N) * core.embedding_multiplier
    for layer in core.layers[:-1]:
        x = _block(layer, x, layout, techniques)
    last = core.layers[-1]
    x = (
        _trimmed_block(last, x, layout, techniques)
        if techniques.trim_last
        else layout.learned(_block(last, x, layout, techniques))
    )
    normed: mx.array = core.norm(x)
    return normed


def _block(layer: nn.Module, x_ND: mx.array, layout: Layout, techniques: Techniques) -> mx.array:
    def block(layer: nn.Module, x_ND: mx.array) -> mx.array:
        h = layer.input_layernorm(x_ND)
        keys, values = _keys_values(layer.self_attn, h, layout)
        a = _attention(layer.self_attn, h, keys, values, layout)
        x_ND = x_ND + layer.self_attn.o_proj(a) * layer.residual_multiplier
        return _feed_forward(layer, x_ND, techniques)

    if techniques.recompute == "layer":
        return computed_again(block, layer)(x_ND)
    return block(layer, x_ND)


def _trimmed_block(layer: nn.Module, x_ND: mx.array, layout: Layout, techniques: Techniques) -> mx.array:
    """The last layer: keys and values everywhere, all else only at the learned positions."""

    def block(layer: nn.Module, x_ND: mx.array) -> mx.array:
        h = layer.input_layernorm(x_ND)
        keys, values = _keys_values(layer.self_attn, h, layout)
        a = _learned_attention(layer.self_attn, layout.learned(h), keys, values, layout)
        x_MD = layout.learned(x_ND) + layer.self_attn.o_proj(a) * layer.residual_multiplier
        return _feed_forward(layer, x_MD, techniques)

    if techniques.recompute == "layer":
        return computed_again(block, layer)(x_ND)
    return block(layer, x_ND)


def _keys_values(attention: nn.Module, h_ND: mx.array, layout: Layout) -> tuple[mx.array, mx.array]:
    """Rotated keys and values on the flat axis, ``(N, G, head)`` each."""
    keys = _rotate(attention, _heads(attention.k_proj(h_ND), attention.n_kv_heads), layout.positions_N)
    return keys, _heads(attention.v_proj(h_ND), attention.n_kv_heads)


def _attention(
    attention: nn.Module, h_ND: mx.array, keys: mx.array, values: mx.array, layout: Layout
) -> mx.array:
    """Attention output before the output projection, ``(N, H * head)``."""
    queries = _rotate(attention, _heads(attention.q_proj(h_ND), attention.n_heads), layout.positions_N)
    own = _own_attention(attention, layout.pad(queries[layout.prefix :]), keys, values, layout)
    out = layout.unpad(own)
    if not layout.prefix:
        return out
    start = layout.prefix
    shared = _sdpa(attention, queries[None, :start], keys[None, :start], values[None, :start])
    return mx.concatenate([shared[0], out])


def _learned_attention(
    attention: nn.Module, h_MD: mx.array, keys: mx.array, values: mx.array, layout: Layout
) -> mx.array:
    """The same for the learned positions alone, ``(M, H * head)``."""
    queries = _rotate(attention, _heads(attention.q_proj(h_MD), attention.n_heads), layout.positions_M)
    own = _own_attention(attention, layout.pad_learned(queries), keys, values, layout)
    return layout.unpad_learned(own)


def _own_attention(
    attention: nn.Module, queries: mx.array, keys: mx.array, values: mx.array, layout: Layout
) -> mx.array:
    """Each sequence's own part against the prefix and itself: ``(B * L, H * head)``."""
    batch, length = layout.sequences, layout.length

    def batched(flat: mx.array) -> mx.array:
        shared, own = flat[: layout.prefix], layout.pad(flat[layout.prefix :])
        own = own.reshape(batch, length, *own.shape[1:])
        if not layout.prefix:
            return own
        return mx.concatenate([mx.broadcast_to(shared[None], (batch, *shared.shape)), own], axis=1)

    queries = queries.reshape(batch, length, *queries.shape[1:])
    out = _sdpa(attention, queries, batched(keys), batched(values))
    return out.reshape(batch * length, -1)


def _sdpa(attention: nn.Module, queries: mx.array, keys: mx.array, values: mx.array) -> mx.array:
    """Causal attention, lower-right aligned: ``(B, T, heads, head)`` in, ``(B, T, H * head)`` out."""
    out = pointwise.attention(
        queries.transpose(0, 2, 1, 3),
        keys.transpose(0, 2, 1, 3),
        values.transpose(0, 2, 1, 3),
        scale=attention.scale,
    )
    return out.transpose(0, 2, 1, 3).flatten(2)


def _heads(x: mx.array, heads: int) -> mx.array:
    return x.reshape(x.shape[0], heads, -1)


def _rotate(attention: nn.Module, x_NHd: mx.array, positions_N: mx.array) -> mx.array:
    """Rotary embedding on the flat axis: each token is a batch of its own, with its own offset."""
    rotated: mx.array = attention.rope(x_NHd[:, :, None], offset=positions_N)[:, :, 0]
    return rotated


def _feed_forward(layer: nn.Module, x_ND: mx.array, techniques: Techniques) -> mx.array:
    h = layer.post_attention_layernorm(x_ND)
    if "block_sparse_moe" not in layer:
        return x_ND + layer.mlp(h) * layer.residual_multiplier
    if techniques.recompute == "experts":
        out = computed_again(lambda moe, h: _mixture(moe, h, techniques), layer.block_sparse_moe)(h)
    else:
        out = _mixture(layer.block_sparse_moe, h, techniques)
    return x_ND + out * layer.residual_multiplier


def _mixture(moe: nn.Module, x_ND: mx.array, techniques: Techniques) -> mx.array:
    """Top-k experts of each row, gated: ``(N, D)`` to ``(N, D)``."""
    experts_NK, gates_NK = moe.router(x_ND)
    glu = moe.switch_mlp
    experts = glu.gate_proj.num_experts
    block = backend.expert_rows(experts_NK.size / experts) if techniques.group_experts else 1
    route = Route(experts_NK, experts, block)
    gates_S = route.gates(gates_NK.astype(x_ND.dtype))
    x_SD: Any = copy_to_slots(x_ND, route.rows_S, route.slots_NK)
    up, gate = (
        grouped_linear(glu.up_proj, x_SD, route.blocks),
        grouped_linear(glu.gate_proj, x_SD, route.blocks),
    )
    if techniques.gate_first:  # linear, so equal; keeps no (slots, D) product for the gate's backward pass
        hidden: Any = pointwise.gated_swiglu(gate, up, gates_S)
        y_SD = grouped_linear(glu.down_proj, hidden, route.blocks)
    else:
        y_SD = grouped_linear(glu.down_proj, pointwise.swiglu(gate, up), route.blocks) * gates_S
    out: Any = sum_slots(y_SD, route.rows_S, route.slots_NK)
    summed: mx.array = out
    return summed
