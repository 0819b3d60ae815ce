"""The training step's forward pass without a wasted token, for every family in :mod:`~.architectures`.

Every token of a micro-batch sits on one flat axis: norms, projections, router, experts and adapters
see no padding. The prefix that all sequences share is computed once. Attention alone is batched:
the prefix attends to itself; each sequence's own part, padded on the right, attends to the prefix and to
itself with MLX's causal mask, which aligns to the lower right, so that no mask array is needed. The last
layer and the vocabulary projection are computed only where there is something to learn.

Exact: equal to the plain forward pass up to rounding (``tests/mlx_lora/test_packed.py``). With dropout the
shared prefix draws one mask per micro-batch instead of one per sequence: the same distribution.

Shapes: N flat tokens, P prefix tokens, B sequences, L longest own part, M learned positions, D hidden,
H heads, G key-value heads, K experts per token, S slots, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.step import architectures, layout, pointwise
from lendsafe.mlx_lora.step.architectures.record import Mixture
from lendsafe.mlx_lora.step.layers import (
    Blocks,
    LoRALinear,
    LoRASwitchLinear,
    applied,
    applied_joined,
    applied_together,
    grouped_linear,
    join,
    plain,
)
from lendsafe.mlx_lora.step.layout import Arrays, Extent, Layout
from lendsafe.mlx_lora.step.recompute import computed_again
from lendsafe.mlx_lora.step.routing import Route
from lendsafe.mlx_lora.step.rows import copy_to_slots, move, reversed_map, sum_slots
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens

FLOAT16_MAX = 65504.0


class Packed:
    """The packed way through one model.

    Args:
        model: mlx-lm model of a known family, adapted or not.
        techniques: How it is computed.
    """

    def __init__(self, model: nn.Module, techniques: Techniques) -> None:
        self._model, self._techniques = model, techniques
        self._config = vars(model.args)
        family = architectures.known(self._config)
        assert family is not None
        self._family = family
        self.vocabulary = int(model.model.embed_tokens.weight.shape[0])
        self._residual = family.factor(family.residual, self._config)

    def layout(self, batch: Sequence[Tokens]) -> Layout:
        """One flat axis, the shared prefix first."""
        chosen = self._techniques
        return layout.packed(batch, share_prefix=chosen.share_prefix, rounded=chosen.buckets)

    def hidden(self, extent: Extent, arrays: Arrays) -> mx.array:
        """Final hidden states at the learned positions, ``(M, D)``, after the last norm."""
        core, way = self._model.model, _Way(extent, arrays)
        factor = self._family.embedding(self._config) if self._family.embedding else 1.0
        x = core.embed_tokens(arrays["tokens"])
        x = x if factor == 1.0 else x * factor
        *layers, last = core.layers
        for number, layer in enumerate(layers):
            x = self._block(layer, number, x, way)
        x = (
            self._block(last, len(layers), x, way, trimmed=True)
            if self._techniques.trim_last
            else move(self._block(last, len(layers), x, way), arrays["learned"])
        )
        normed: mx.array = core.norm(x)
        return normed

    def logits(self, hidden_MD: mx.array) -> mx.array:
        """Logits, divided as the family has it."""
        model, divisor = self._model, self._family.factor(self._family.logits, self._config)
        head = model.lm_head if "lm_head" in model else model.model.embed_tokens.as_linear
        if divisor == 1.0:
            return head(hidden_MD)
        if self._techniques.fold_scale:
            return head(hidden_MD * (1 / divisor))
        return head(hidden_MD) / divisor

    def _block(
        self, layer: nn.Module, number: int, x_ND: mx.array, way: "_Way", *, trimmed: bool = False
    ) -> mx.array:
        """One layer; trimmed: keys and values everywhere, all else only at the learned positions."""
        window = self._family.window_of(self._config, number)
        before, after, before_inner, after_inner = self._family.norms

        def block(layer: nn.Module, x_ND: mx.array) -> mx.array:
            attention, h = layer.self_attn, layer[before](x_ND)
            a = self._attended(attention, h, way, window, trimmed=trimmed)
            a = self._linear(attention.o_proj, a)
            x = self._add(move(x_ND, way.arrays["learned"]) if trimmed else x_ND, a, layer, after)
            return self._add(x, self._feed_forward(layer, layer[before_inner](x)), layer, after_inner)

        if self._techniques.recompute == "layer":
            recomputed: mx.array = computed_again(block, layer)(x_ND)
            return recomputed
        return block(layer, x_ND)

    def _add(self, x: mx.array, part: mx.array, layer: nn.Module, norm: str) -> mx.array:
        """The token stream plus what a part adds to it."""
        part = layer[norm](part) if norm else part
        part = part if self._residual == 1.0 else part * self._residual
        if not (self._family.clipped and x.dtype == mx.float16):
            return x + part
        wide = x.astype(mx.float32) + part.astype(mx.float32)
        return mx.clip(wide, -FLOAT16_MAX, FLOAT16_MAX).astype(mx.float16)

    def _attended(
        self, attention: nn.Module, h_ND: mx.array, way: "_Way", window: int | None, *, trimmed: bool
    ) -> mx.array:
        """Attention before the output projection, ``(N or M, H * head)``."""
        if not trimmed and (joined := self._queries_keys_values_joined(attention, h_ND)) is not None:
            norms = (attention.q_norm, attention.k_norm) if self._family.query_norms else None
            return way.joined_attention(attention, joined, norms, window)
        queries, keys, values = self._queries_keys_values(attention, h_ND, way, trimmed=trimmed)
        mixed = way.learned_attention if trimmed else way.attention
        return mixed(attention, queries, keys, values, window)

    def _queries_keys_values_joined(self, attention: nn.Module, h_ND: mx.array) -> mx.array | None:
        """Queries, keys and values side by side, ``(N, (H + 2 G) * head)``; None where they are computed apart."""
        names = ("q_proj", "k_proj", "v_proj")
        if fused := self._family.fused.get(names[0]):
            return self._linear(attention[fused], h_ND)
        if not (self._techniques.one_product and self._techniques.one_a):
            return None
        both = join(attention, names)
        if both is None:
            return None
        layers = [attention[name] for name in names]
        return applied_joined(both, layers, h_ND, restore=self._techniques.dequantise)

    def _queries_keys_values(
        self, attention: nn.Module, h_ND: mx.array, way: "_Way", *, trimmed: bool
    ) -> tuple[mx.array, mx.array, mx.array]:
        """Rotated queries ``(N or M, H, head)``, rotated keys and values ``(N, G, head)``."""
        arrays, heads, groups = way.arrays, int(attention.n_heads), int(attention.n_kv_heads)
        if fused := self._family.fused.get("q_proj"):
            joined = self._linear(attention[fused], h_ND)
            size = joined.shape[-1] // (heads + 2 * groups)
            q, k, v = mx.split(joined, [heads * size, (heads + groups) * size], axis=-1)
            q = move(q, arrays["learned"]) if trimmed else q
        elif trimmed:
            k, v = self._linears([attention.k_proj, attention.v_proj], h_ND)
            q = self._linear(attention.q_proj, move(h_ND, arrays["learned"]))
        else:
            k, v, q = self._linears([attention.k_proj, attention.v_proj, attention.q_proj], h_ND)
        q, k, v = _heads(q, heads), _heads(k, groups), _heads(v, groups)
        if self._family.query_norms:
            q, k = attention.q_norm(q), attention.k_norm(k)
        positions = arrays["positions_learned" if trimmed else "positions"]
        return _rotate(attention, q, positions), _rotate(attention, k, arrays["positions"]), v

    def _feed_forward(self, layer: nn.Module, h_ND: mx.array) -> mx.array:
        mixture = self._family.mixture_of(self._config)
        if mixture is None or "switch_mlp" not in layer[mixture.module]:
            return self._dense(layer.mlp, h_ND)
        moe = layer[mixture.module]

        def experts(moe: nn.Module, h: mx.array) -> mx.array:
            return self._mixture(moe, h, mixture)

        out: mx.array = (
            computed_again(experts, moe)(h_ND)
            if self._techniques.recompute == "experts"
            else experts(moe, h_ND)
        )
        if not mixture.shared:
            return out
        gate, up = mx.split(self._linear(layer.shared_mlp.input_linear, h_ND), 2, axis=-1)
        return out + self._linear(layer.shared_mlp.output_linear, self._gated(gate, up))

    def _dense(self, mlp: nn.Module, h_ND: mx.array) -> mx.array:
        if "gate_proj" in self._family.fused:
            gate, up = mx.split(self._linear(mlp[self._family.fused["gate_proj"]], h_ND), 2, axis=-1)
        elif both := self._joined(mlp):
            layers = [mlp.gate_proj, mlp.up_proj]
            out = (
                applied_joined(both, layers, h_ND, restore=self._techniques.dequantise)
                if self._techniques.one_a
                else mx.concatenate(
                    [
                        y + layer.correction(h_ND) if isinstance(layer, LoRALinear) else y
                        for layer, y in zip(
                            layers, mx.split(self._linear(both, h_ND), 2, axis=-1), strict=True
                        )
                    ],
                    axis=-1,
                )
            )
            gate, up = mx.split(out, 2, axis=-1)
        else:
            gate, up = self._linears([mlp.gate_proj, mlp.up_proj], h_ND)
        return self._linear(mlp.down_proj, self._gated(gate, up))

    def _linear(self, layer: nn.Module, x: mx.array) -> mx.array:
        chosen = self._techniques
        return applied(layer, x, restore=chosen.dequantise, add=chosen.one_a)

    def _linears(self, layers: list[nn.Module], x: mx.array) -> list[mx.array]:
        """Layers that read the same rows."""
        if self._techniques.one_a:
            return applied_together(layers, x, restore=self._techniques.dequantise)
        return [self._linear(layer, x) for layer in layers]

    def _joined(self, part: nn.Module) -> nn.Module | None:
        """Gate and up of a feed-forward part as one layer, if they are to be."""
        return join(part, ("gate_proj", "up_proj")) if self._techniques.one_product else None

    def _gated(self, gate: mx.array, up: mx.array) -> mx.array:
        return pointwise.gated(gate, up, self._family.activation)

    def _mixture(self, moe: nn.Module, x_ND: mx.array, mixture: Mixture) -> mx.array:
        """Top-k experts of each row, gated: ``(N, D)`` to ``(N, D)``."""
        experts_NK, gates_NK = self._chosen(moe, x_ND, mixture)
        glu = moe.switch_mlp
        experts = glu.gate_proj.num_experts
        block = self._block_rows(glu, experts_NK.size / experts, x_ND.dtype)
        route = Route(experts_NK, experts, block)
        gates_S = route.gates(gates_NK.astype(x_ND.dtype))
        kernel = self._techniques.kernels
        x_SD = copy_to_slots(x_ND, route.rows_S, route.slots_NK, kernel=kernel)
        gate, up = self._gate_up(glu, x_SD, route.blocks)
        if (
            self._techniques.gate_first
        ):  # linear, so equal; keeps no (S, D) product for the gate's backward pass
            hidden: Any = pointwise.gated_swiglu(gate, up, gates_S)
            y_SD = self._grouped(glu.down_proj, hidden, route.blocks)
        else:
            y_SD = self._grouped(glu.down_proj, pointwise.swiglu(gate, up), route.blocks) * gates_S
        return sum_slots(y_SD, route.rows_S, route.slots_NK, kernel=kernel)

    def _grouped(self, layer: nn.Module, x_SI: mx.array, blocks: Blocks) -> mx.array:
        return grouped_linear(layer, x_SI, blocks, restore=self._techniques.dequantise)

    def _gate_up(self, glu: nn.Module, x_SD: mx.array, blocks: Blocks) -> tuple[mx.array, mx.array]:
        """The experts' gate and up, ``(S, I)`` each."""
        both = self._joined(glu)
        if both is None:
            up = self._grouped(glu.up_proj, x_SD, blocks)
            return self._grouped(glu.gate_proj, x_SD, blocks), up
        gate, up = mx.split(self._grouped(both, x_SD, blocks), 2, axis=-1)
        parts = [
            y + layer.correction(x_SD, blocks) if isinstance(layer, LoRASwitchLinear) else y
            for layer, y in ((glu.gate_proj, gate), (glu.up_proj, up))
        ]
        return parts[0], parts[1]

    def _block_rows(self, glu: nn.Module, mean: float, dtype: mx.Dtype) -> int:
        if not self._techniques.group_experts:
            return 1
        quantised = "scales" in plain(glu.gate_proj) and not self._techniques.dequantise
        return backend.expert_rows(mean, quantised=quantised, width=dtype.size)

    def _chosen(self, moe: nn.Module, x_ND: mx.array, mixture: Mixture) -> tuple[mx.array, mx.array]:
        """Experts of each row and their gates, ``(N, K)`` each; gates are computed in float32."""
        scores, k = _at(moe, mixture.router)(x_ND), int(self._config["num_experts_per_tok"])
        if mixture.softmax_first:
            scores = mx.softmax(scores, axis=-1, precise=True)
        experts_NK = mx.stop_gradient(mx.argpartition(scores, kth=-k, axis=-1)[..., -k:])
        gates_NK = mx.take_along_axis(scores, experts_NK, axis=-1)
        if not mixture.softmax_first:
            return experts_NK, mx.softmax(gates_NK, axis=-1, precise=True)
        if self._config[mixture.renormalise]:
            gates_NK = gates_NK / gates_NK.sum(axis=-1, keepdims=True)
        return experts_NK, gates_NK


class _Way:
    """Attention over one micro-batch: from the flat axis to sequences and back."""

    def __init__(self, extent: Extent, arrays: Arrays) -> None:
        self.extent, self.arrays = extent, arrays

    def attention(
        self, attention: nn.Module, queries: mx.array, keys: mx.array, values: mx.array, window: int | None
    ) -> mx.array:
        """Attention output before the output projection, ``(N, H * head)``."""
        start, own = self.extent.prefix, self.arrays["own"]
        out = self._own(attention, move(queries[start:], own), keys, values, window)
        out = move(out, reversed_map(own))
        if not start:
            return out
        shared = _sdpa(attention, queries[None, :start], keys[None, :start], values[None, :start], window)
        return mx.concatenate([shared.squeeze(0), out])

    def joined_attention(
        self, attention: nn.Module, joined: mx.array, norms: tuple[Any, Any] | None, window: int | None
    ) -> mx.array:
        """The same from queries, keys and values side by side, rotated once each sequence has its own rows.

        Args:
            attention: With heads, scale and rotation.
            joined: ``(N, (H + 2 G) * head)``.
            norms: Of queries and keys by head, if the family has them.
            window: Of the layer.
        """
        heads, groups = int(attention.n_heads), int(attention.n_kv_heads)
        batch, length, prefix = self.extent.sequences, self.extent.length, self.extent.prefix
        own_way = self.arrays["own"]

        def three(rows: mx.array, offset: int) -> list[mx.array]:
            """Rotated queries, rotated keys, values, ``(B, heads, T, head)`` each."""
            whole = rows.reshape(*rows.shape[:2], heads + 2 * groups, -1).transpose(0, 2, 1, 3)
            if norms is None:  # queries and keys turn together
                turning, v = mx.split(whole, [heads + groups], axis=1)
                q, k = mx.split(_turn(attention, turning, offset), [heads], axis=1)
                return [q, k, v]
            q, k, v = mx.split(whole, [heads, heads + groups], axis=1)
            return [_turn(attention, norms[0](q), offset), _turn(attention, norms[1](k), offset), v]

        shared, own = mx.split(joined, [prefix]) if prefix else (None, joined)
        q, k, v = three(move(own, own_way).reshape(batch, length, -1), prefix)
        if shared is None:
            return move(_merged(attention, q, k, v, window).flatten(0, 1), reversed_map(own_way))
        first_q, first_k, first_v = three(shared[None], 0)
        before = _merged(attention, first_q, first_k, first_v, window)
        k, v = (
            mx.concatenate([mx.broadcast_to(first, (batch, *first.shape[1:])), part], axis=2)
            for first, part in ((first_k, k), (first_v, v))
        )
        after = move(_merged(attention, q, k, v, window).flatten(0, 1), reversed_map(own_way))
        return mx.concatenate([before.squeeze(0), after])

    def learned_attention(
        self, attention: nn.Module, queries: mx.array, keys: mx.array, values: mx.array, window: int | None
    ) -> mx.array:
        """The same for the learned positions alone, ``(M, H * head)``."""
        own = self.arrays["own_learned"]
        return move(self._own(attention, move(queries, own), keys, values, window), reversed_map(own))

    def _own(
        self, attention: nn.Module, queries: mx.array, keys: mx.array, values: mx.array, window: int | None
    ) -> mx.array:
        """Each sequence's own part against the prefix and itself: ``(B * L, H * head)``."""
        batch, length, prefix = self.extent.sequences, self.extent.length, self.extent.prefix

        def batched(flat: mx.array) -> mx.array:
            own = move(flat[prefix:], self.arrays["own"])
            own = own.reshape(batch, length, *own.shape[1:])
            if not prefix:
                return own
            shared = flat[:prefix]
            return mx.concatenate([mx.broadcast_to(shared[None], (batch, *shared.shape)), own], axis=1)

        queries = queries.reshape(batch, length, *queries.shape[1:])
        out = _sdpa(attention, queries, batched(keys), batched(values), window)
        return out.reshape(batch * length, -1)


def _sdpa(
    attention: nn.Module, queries: mx.array, keys: mx.array, values: mx.array, window: int | None
) -> mx.array:
    """Causal attention, lower-right aligned: ``(B, T, heads, head)`` in, ``(B, T, H * head)`` out."""
    q, k, v = (one.transpose(0, 2, 1, 3) for one in (queries, keys, values))
    return _merged(attention, q, k, v, window)


def _merged(attention: nn.Module, q: mx.array, k: mx.array, v: mx.array, window: int | None) -> mx.array:
    """The same from ``(B, heads, T, head)``."""
    out = pointwise.attention(q, k, v, scale=attention.scale, window=window)
    return out.transpose(0, 2, 1, 3).flatten(2)


def _turn(attention: nn.Module, x: mx.array, offset: int) -> mx.array:
    """Rotary embedding of ``(B, heads, T, head)`` from a position on."""
    turned: mx.array = x if attention.rope is None else attention.rope(x, offset=offset)
    return turned


def _heads(x: mx.array, heads: int) -> mx.array:
    return x.reshape(x.shape[0], heads, -1)


def _rotate(attention: nn.Module, x_NHd: mx.array, positions_N: mx.array) -> mx.array:
    """Rotary embedding on the flat axis: each token is a batch of its own, with its own offset."""
    if attention.rope is None:
        return x_NHd
    rotated: mx.array = attention.rope(x_NHd[:, :, None], offset=positions_N)
    return rotated.squeeze(2)


def _at(module: nn.Module, path: str) -> Any:
    for name in path.split("."):
        module = module[name]
    return module
