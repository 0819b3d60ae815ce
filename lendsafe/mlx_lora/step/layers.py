"""Low-rank adapters around linear layers and around the stacked experts of a mixture.

The arrays are named and shaped as in mlx-lm's adapter files, so that it can load what we save.

Shapes: ... leading axes, S rows in blocks of one expert, E experts, I input, O output, R rank.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from math import sqrt
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

from lendsafe.mlx_lora.step import kernels


class DropoutKeys:
    """Where the adapters of one model get their random keys; without keys there is no dropout.

    A key belongs to one (seed, step, micro-batch, layer), so nothing depends on how often or in
    which order anything was drawn before.
    """

    def __init__(self) -> None:
        self.layers = 0
        self._keys: mx.array | None = None
        self._stored = True

    def set(self, key: mx.array | None, *, stored: bool = True) -> None:
        """Draw dropout from ``key`` from now on, or none if it is None.

        Args:
            key: Of one micro-batch.
            stored: Whether a mask is drawn and kept for the backward pass, or drawn by place, twice.
        """
        self._keys = None if key is None else mx.random.split(key, max(self.layers, 1))
        self._stored = stored

    def drop(self, x: mx.array, layer: int, rate: float) -> mx.array:
        """Zero a share ``rate`` of ``x`` and scale the rest by ``1 / (1 - rate)``."""
        if self._keys is None or rate == 0:
            return x
        if not self._stored:
            return _dropped(x, self._keys[layer], rate)
        kept = mx.random.bernoulli(1 - rate, x.shape, key=self._keys[layer])
        return mx.where(kept, x * (1 / (1 - rate)), mx.zeros_like(x))

    def product(self, x: mx.array, a: mx.array, layer: int, rate: float) -> mx.array:
        """Dropped ``x`` (..., I) times ``a`` (I, R)."""
        if self._keys is None or rate == 0 or self._stored:
            return self.drop(x, layer, rate) @ a
        return _dropped_product(x, a, self._keys[layer], rate)


def _dropped(x: mx.array, key: mx.array, rate: float) -> mx.array:
    """Dropout by place; the backward pass draws the same again."""

    @mx.custom_function
    def drop(x: mx.array, key: mx.array) -> mx.array:
        return kernels.dropped(x, key, rate)

    @drop.vjp
    def drop_vjp(primals: Any, cotangent: mx.array, output: Any) -> Any:
        return kernels.dropped(cotangent, primals[1], rate), mx.zeros_like(primals[1])

    return drop(x, key)  # type: ignore[return-value]  # its stub says object


def _dropped_product(x: mx.array, a: mx.array, key: mx.array, rate: float) -> mx.array:
    """The same times a matrix; only ``x`` is kept for the backward pass, not what is left of it."""

    @mx.custom_function
    def product(x: mx.array, a: mx.array, key: mx.array) -> mx.array:
        return kernels.dropped(x, key, rate) @ a

    @product.vjp
    def product_vjp(primals: Any, cotangent: mx.array, output: Any) -> Any:
        x, a, key = primals
        toward_x = kernels.dropped(cotangent @ a.T, key, rate)
        again = kernels.dropped(
            mx.depends(x, cotangent), key, rate
        )  # or it would be kept since the first time
        rows = again.reshape(-1, again.shape[-1]), cotangent.reshape(-1, cotangent.shape[-1])
        return toward_x, rows[0].T @ rows[1], mx.zeros_like(key)

    return product(x, a, key)  # type: ignore[return-value]  # its stub says object


@dataclass(frozen=True)
class Blocks:
    """Rows laid out in blocks of one expert each.

    Attributes:
        experts: Expert of each block, ascending.
        rows: Rows in a block.
    """

    experts: mx.array
    rows: int


class LoRALinear(nn.Module):
    r"""A frozen linear layer plus a trainable low-rank correction.

    .. math:: y = W x + s \, (\mathrm{dropout}(x) A) B

    with ``lora_a`` (I, R) drawn uniformly from :math:`\pm 1/\sqrt{I}` and ``lora_b`` (R, O) zero, so that
    the output starts as exactly that of the frozen layer. Both are float32; they are cast to the
    activations' type where they meet them.

    Args:
        linear: Linear or quantised linear layer. Kept by reference, frozen by the caller.
        rank: R.
        scale: s.
        dropout: Share of the correction's input that is dropped in training.
        keys: Source of dropout keys, shared by all adapters of a model.
        key: Seed of ``lora_a``.
    """

    def __init__(
        self,
        linear: nn.Module,
        *,
        rank: int,
        scale: float,
        dropout: float = 0.0,
        keys: DropoutKeys | None = None,
        key: mx.array | None = None,
    ) -> None:
        super().__init__()
        output_dims, input_dims = linear_shape(linear)
        bound = 1 / sqrt(input_dims)
        self.linear = linear
        self.scale = scale
        self.rate = dropout
        self._keys = keys or DropoutKeys()
        self.index = self._keys.layers
        self._keys.layers += 1
        self.lora_a = mx.random.uniform(-bound, bound, (input_dims, rank), key=key)
        self.lora_b = mx.zeros((rank, output_dims))

    def __call__(self, x: mx.array) -> mx.array:
        """Map ``(..., I)`` to ``(..., O)``."""
        return self.linear(x) + self.correction(x)

    def correction(self, x: mx.array) -> mx.array:
        """The low-rank part alone."""
        return self.narrowed(x, self.lora_a) @ self.scaled_b(x.dtype)

    def narrowed(self, x: mx.array, a: mx.array) -> mx.array:
        """Dropped ``x`` times a first factor, this adapter's or a wider one."""
        return self._keys.product(x, a.astype(x.dtype), self.index, self.rate)

    def scaled_b(self, dtype: mx.Dtype) -> mx.array:
        """``lora_b`` times the scale, ``(R, O)``."""
        return (self.scale * self.lora_b).astype(dtype)

    def delta(self) -> mx.array:
        """What the adapter adds to the weight, ``(O, I)``, float32."""
        return self.scale * (self.lora_a @ self.lora_b).T


class LoRASwitchLinear(nn.Module):
    r"""A frozen stack of expert layers, each with its own low-rank correction.

    .. math:: y = W_e x + s \, B_e A_e \, \mathrm{dropout}(x)

    with ``lora_a`` (E, R, I) and ``lora_b`` (E, O, R), float32.

    Args:
        linear: Stacked expert layer, quantised or not. Kept by reference, frozen by the caller.
        rank: R.
        scale: s.
        dropout: Share of the correction's input that is dropped in training.
        keys: Source of dropout keys, shared by all adapters of a model.
        key: Seed of ``lora_a``.
    """

    def __init__(
        self,
        linear: nn.Module,
        *,
        rank: int,
        scale: float,
        dropout: float = 0.0,
        keys: DropoutKeys | None = None,
        key: mx.array | None = None,
    ) -> None:
        super().__init__()
        experts, output_dims, input_dims = linear.num_experts, linear.output_dims, linear.input_dims
        bound = 1 / sqrt(input_dims)
        self.linear = linear
        self.scale = scale
        self.rate = dropout
        self._keys = keys or DropoutKeys()
        self.index = self._keys.layers
        self._keys.layers += 1
        self.lora_a = mx.random.uniform(-bound, bound, (experts, rank, input_dims), key=key)
        self.lora_b = mx.zeros((experts, output_dims, rank))

    @property
    def num_experts(self) -> int:
        """E."""
        return int(self.lora_a.shape[0])

    @property
    def input_dims(self) -> int:
        """I."""
        return int(self.lora_a.shape[2])

    @property
    def output_dims(self) -> int:
        """O."""
        return int(self.lora_b.shape[1])

    def __call__(self, x: mx.array, indices: mx.array, sorted_indices: bool = False) -> mx.array:
        """mlx-lm's interface: ``x`` (..., 1, I) against the experts named by ``indices``."""
        y = self.linear(x, indices, sorted_indices=sorted_indices)
        z = self._keys.drop(x, self.index, self.rate)
        for weight in (self.lora_a, self.scale * self.lora_b):
            z = mx.gather_mm(
                z,
                weight.astype(x.dtype).swapaxes(-1, -2),
                rhs_indices=indices,
                sorted_indices=sorted_indices,
            )
        return y + z

    def correction(self, x_SI: mx.array, blocks: Blocks) -> mx.array:
        """The low-rank part alone, for rows in blocks: ``(S, I)`` to ``(S, O)``."""
        z = self._keys.drop(x_SI, self.index, self.rate)
        z = grouped_matmul(z, self.lora_a.astype(x_SI.dtype), blocks)
        return grouped_matmul(z, (self.scale * self.lora_b).astype(x_SI.dtype), blocks)

    def delta(self) -> mx.array:
        """What the adapter adds to the weights, ``(E, O, I)``, float32."""
        return self.scale * (self.lora_b @ self.lora_a)


LORA_LAYERS = (LoRALinear, LoRASwitchLinear)


def plain(layer: nn.Module) -> nn.Module:
    """The frozen layer, without the adapter around it."""
    return layer.linear if isinstance(layer, LORA_LAYERS) else layer


def linear_shape(linear: nn.Module) -> tuple[int, int]:
    """Output and input width of a linear or quantised linear layer."""
    output_dims, input_dims = linear.weight.shape
    if isinstance(linear, nn.QuantizedLinear):
        input_dims = input_dims * 32 // linear.bits
    return int(output_dims), int(input_dims)


def applied(layer: nn.Module, x: mx.array, *, restore: bool, add: bool = False) -> mx.array:
    """Apply a linear layer, adapted or not: ``(..., I)`` to ``(..., O)``.

    Args:
        layer: Linear or quantised linear layer, or an adapter around one.
        x: Rows; many, or restoring a weight does not pay.
        restore: Whether a quantised weight is restored once a pass and multiplied in the type of ``x``.
        add: Whether an adapter's second product adds to the layer's at once.
    """
    base = plain(layer)
    y: mx.array = _restored_product(base, x) if restore and "scales" in base else base(x)
    if not isinstance(layer, LoRALinear):
        return y
    if add:
        return mx.addmm(y, layer.narrowed(x, layer.lora_a), layer.scaled_b(x.dtype))
    return y + layer.correction(x)


def applied_together(layers: Sequence[nn.Module], x: mx.array, *, restore: bool) -> list[mx.array]:
    """Apply layers that read the same rows, the first factors of their adapters as one product with one mask."""
    loras = [layer for layer in layers if isinstance(layer, LoRALinear)]
    if len(loras) < 2 or len({layer.rate for layer in loras}) > 1:
        return [applied(layer, x, restore=restore) for layer in layers]
    z = loras[0].narrowed(x, mx.concatenate([layer.lora_a for layer in loras], axis=1))
    ends = np.cumsum([layer.lora_a.shape[1] for layer in loras])[:-1].tolist()
    low = dict(zip(map(id, loras), mx.split(z, ends, axis=-1), strict=True))
    found = []
    for layer in layers:
        y = applied(plain(layer), x, restore=restore)
        found.append(mx.addmm(y, low[id(layer)], layer.scaled_b(x.dtype)) if id(layer) in low else y)
    return found


def _restored_product(layer: nn.Module, x: mx.array) -> mx.array:
    """A quantised linear layer's product, its weight restored in each pass and kept in none."""

    @mx.custom_function
    def product(x: mx.array) -> mx.array:
        return x @ _restored(layer, x.dtype).T

    @product.vjp
    def product_vjp(primal: Any, cotangent: mx.array, output: Any) -> mx.array:
        return cotangent @ _restored(layer, cotangent.dtype, after=cotangent)

    y: Any = product(x)
    result: mx.array = y + layer.bias if "bias" in layer else y
    return result


def _restored(layer: nn.Module, dtype: mx.Dtype, after: mx.array | None = None) -> mx.array:
    """Weight of a quantised layer; ``after`` keeps the backward pass from sharing the forward pass's."""
    scales = layer.scales if after is None else mx.depends(layer.scales, after)
    weight = mx.dequantize(
        layer.weight, scales, layer.get("biases"), layer.group_size, layer.bits, mode=layer.mode
    )
    return weight.astype(dtype)


def grouped_linear(layer: nn.Module, x_SI: mx.array, blocks: Blocks, *, restore: bool = False) -> mx.array:
    """Apply a stack of expert layers to rows in blocks: ``(S, I)`` to ``(S, O)``; ``restore`` as in :func:`applied`."""
    if isinstance(layer, LoRASwitchLinear):
        return grouped_linear(layer.linear, x_SI, blocks, restore=restore) + layer.correction(x_SI, blocks)
    assert isinstance(layer, SwitchLinear | QuantizedSwitchLinear)
    if restore and "scales" in layer and "bias" not in layer:
        return _restored_grouped(layer, x_SI, blocks)
    x = x_SI.reshape(-1, blocks.rows, x_SI.shape[-1])
    y: mx.array = layer(x, blocks.experts, sorted_indices=True)
    return y.reshape(-1, y.shape[-1])


def _restored_grouped(layer: nn.Module, x_SI: mx.array, blocks: Blocks) -> mx.array:
    @mx.custom_function
    def product(x: mx.array) -> mx.array:
        return grouped_matmul(x, _restored(layer, x.dtype), blocks)

    @product.vjp
    def product_vjp(primal: Any, cotangent: mx.array, output: Any) -> mx.array:
        weight_EIO = _restored(layer, cotangent.dtype, after=cotangent).swapaxes(-1, -2)
        return grouped_matmul(cotangent, weight_EIO, blocks)

    return product(x_SI)  # type: ignore[return-value]  # its stub says object


def join(part: nn.Module, names: tuple[str, ...]) -> nn.Module | None:
    """One layer for several that read the same rows, made once; theirs become views of it, in no more memory.

    Args:
        part: Where they are, adapted or not; they stay what they were.
        names: Their names, in the order of the outputs.

    Returns:
        The layer without adapters; None if they are not of one kind.
    """
    name = f"_joined_{'_'.join(names)}"
    found: nn.Module | None = getattr(part, name, None)
    if found is not None:
        return found
    layers = [plain(part[one]) for one in names]
    kinds = {(type(one), getattr(one, "bits", None), tuple(sorted(one))) for one in layers}
    if len(kinds) > 1:
        return None
    both = copy(layers[0])
    for key in [key for key, value in layers[0].items() if isinstance(value, mx.array)]:
        axis = -1 if key == "bias" else -2
        both[key] = mx.concatenate([one[key] for one in layers], axis=axis)
        mx.eval(both[key])
        ends = np.cumsum([one[key].shape[axis] for one in layers])[:-1].tolist()
        for one, view in zip(layers, mx.split(both[key], ends, axis=axis), strict=True):
            one[key] = view
            mx.eval(view)
    object.__setattr__(part, name, both)  # no layer of the model: seen by nobody else
    return both


def applied_joined(joined: nn.Module, layers: Sequence[nn.Module], x: mx.array, *, restore: bool) -> mx.array:
    """Apply layers that were joined, with the adapters of all: ``(N, I)`` to ``(N, O)``, the outputs one after another.

    Where all are adapted alike, their first factors are one product with one mask, and so are their second ones: a
    matrix of blocks, which are zero where they would lead from one adapter to the output of another.
    """
    y = applied(joined, x, restore=restore)
    loras = [layer for layer in layers if isinstance(layer, LoRALinear)]
    if not loras:
        return y
    kinds = {(layer.rate, layer.scale, int(layer.lora_a.shape[1])) for layer in loras}
    if len(loras) < len(layers) or len(kinds) > 1:
        widths = [int(plain(layer).weight.shape[0]) for layer in layers]
        parts = mx.split(y, np.cumsum(widths)[:-1].tolist(), axis=-1)
        pairs = zip(layers, parts, strict=True)
        return mx.concatenate(
            [p + layer.correction(x) if isinstance(layer, LoRALinear) else p for layer, p in pairs], axis=-1
        )
    z = loras[0].narrowed(x, mx.concatenate([layer.lora_a for layer in loras], axis=1))
    b_RO = mx.concatenate([layer.lora_b for layer in loras], axis=1)
    owners_O = np.repeat(np.arange(len(loras)), [layer.lora_b.shape[1] for layer in loras])
    own_L1O = mx.array((np.arange(len(loras))[:, None, None] == owners_O) * np.float32(loras[0].scale))
    blocks = (own_L1O * b_RO[None]).astype(x.dtype).reshape(-1, b_RO.shape[1])
    return mx.addmm(y, z, blocks)


def grouped_matmul(x_SI: mx.array, weight_EOI: mx.array, blocks: Blocks) -> mx.array:
    """Multiply each row by its expert's matrix: ``(S, I)`` to ``(S, O)``."""
    x = x_SI.reshape(-1, blocks.rows, x_SI.shape[-1])
    y = mx.gather_mm(x, weight_EOI.swapaxes(-1, -2), rhs_indices=blocks.experts, sorted_indices=True)
    return y.reshape(-1, y.shape[-1])
