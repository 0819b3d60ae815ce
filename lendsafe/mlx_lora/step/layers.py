"""Low-rank adapters around linear layers and around the stacked experts of a mixture.

The arrays are named and shaped as in mlx-lm's adapter files, so that it can load what we save.

Shapes: ... leading axes, S rows in blocks of one expert, E experts, I input, O output, R rank.
"""

from dataclasses import dataclass
from math import sqrt

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear


class DropoutKeys:
    """Where the adapters of one model get their random keys; without keys there is no dropout.

    A key belongs to one (seed, step, micro-batch, layer), so nothing depends on how often or in
    which order anything was drawn before.
    """

    def __init__(self) -> None:
        self.layers = 0
        self._keys: mx.array | None = None

    def set(self, key: mx.array | None) -> None:
        """Draw dropout from ``key`` from now on, or none if it is None."""
        self._keys = None if key is None else mx.random.split(key, max(self.layers, 1))

    def drop(self, x: mx.array, layer: int, rate: float) -> mx.array:
        """Zero a share ``rate`` of ``x`` and scale the rest by ``1 / (1 - rate)``."""
        if self._keys is None or rate == 0:
            return x
        kept = mx.random.bernoulli(1 - rate, x.shape, key=self._keys[layer])
        return mx.where(kept, x * (1 / (1 - rate)), mx.zeros_like(x))


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
        dropped = self._keys.drop(x, self.index, self.rate)
        z = dropped @ self.lora_a.astype(x.dtype)
        return z @ (self.scale * self.lora_b).astype(x.dtype)

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

    def grouped(self, x_SI: mx.array, blocks: Blocks) -> mx.array:
        """The same for rows in blocks: ``(S, I)`` to ``(S, O)``."""
        z = self._keys.drop(x_SI, self.index, self.rate)
        z = grouped_matmul(z, self.lora_a.astype(x_SI.dtype), blocks)
        z = grouped_matmul(z, (self.scale * self.lora_b).astype(x_SI.dtype), blocks)
        return grouped_linear(self.linear, x_SI, blocks) + z

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


def grouped_linear(layer: nn.Module, x_SI: mx.array, blocks: Blocks) -> mx.array:
    """Apply a stack of expert layers to rows in blocks: ``(S, I)`` to ``(S, O)``."""
    if isinstance(layer, LoRASwitchLinear):
        return layer.grouped(x_SI, blocks)
    assert isinstance(layer, SwitchLinear | QuantizedSwitchLinear)
    x = x_SI.reshape(-1, blocks.rows, x_SI.shape[-1])
    y: mx.array = layer(x, blocks.experts, sorted_indices=True)
    return y.reshape(-1, y.shape[-1])


def grouped_matmul(x_SI: mx.array, weight_EOI: mx.array, blocks: Blocks) -> mx.array:
    """Multiply each row by its expert's matrix: ``(S, I)`` to ``(S, O)``."""
    x = x_SI.reshape(-1, blocks.rows, x_SI.shape[-1])
    y = mx.gather_mm(x, weight_EOI.swapaxes(-1, -2), rhs_indices=blocks.experts, sorted_indices=True)
    return y.reshape(-1, y.shape[-1])
