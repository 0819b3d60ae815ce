"""Softmax, SwiGLU and log-sum-exp for training, fast on every back end.

MLX's CPU back end evaluates one exponential at a time, at 10 ns each on x86: three quarters of a small
model's step. There the exponential is composed of multiplications, which MLX does vectorise (2.4 times
faster), and each function keeps its result for the backward pass instead of computing it again. On a GPU
these are MLX's own functions.
"""

from typing import Any

import mlx.core as mx
import mlx.nn as nn

from lendsafe.mlx_lora import backend

# Cephes' expf (S. Moshier, 1984): exp(x) = 2^n exp(r), n = round(x / ln 2), ln 2 in two parts.
_LOG2E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4
_POLYNOMIAL = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)
_SMALLEST, _LARGEST = -87.0, 88.0  # exp is a normal float32 between them


def exp(x: mx.array) -> mx.array:
    """Exponential of a float32 array, to a relative 3e-7; saturates outside [-87, 88]. No gradient."""
    if backend.name() != "cpu" or x.dtype != mx.float32:
        return mx.exp(x)
    x = mx.clip(x, _SMALLEST, _LARGEST)
    n = mx.round(x * _LOG2E)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = _POLYNOMIAL[0] * r + _POLYNOMIAL[1]
    for coefficient in _POLYNOMIAL[2:]:
        p = p * r + coefficient
    p = p * (r * r) + r + 1.0
    return p * mx.left_shift(n.astype(mx.int32) + 127, 23).view(mx.float32)


def attention(q: mx.array, k: mx.array, v: mx.array, *, scale: float, window: int | None = None) -> mx.array:
    """Causal attention, aligned to the lower right: the last query sees every key, or those of its window.

    Args:
        q: Queries ``(B, H, T, head)``.
        k: Keys ``(B, G, S, head)``; H is a multiple of G.
        v: Values ``(B, G, S, head)``.
        scale: Factor of the scores.
        window: Keys that a query sees, itself included; None for all before it.
    """
    batch, heads, length, size = q.shape
    groups, keys = k.shape[1], k.shape[2]
    narrow = window is not None and keys > window  # else no mask array is needed
    if backend.name() != "cpu":
        mask: Any = _visible(keys, length, window) if narrow else "causal"
        return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)
    q = (q * scale).reshape(batch, groups, heads // groups, length, size)
    scores = q @ k[:, :, None].swapaxes(-1, -2)
    visible = _visible(keys, length, window if narrow else None)
    probabilities: Any = _softmax(mx.where(visible, scores, mx.array(-1e30)))
    return (probabilities @ v[:, :, None]).reshape(batch, heads, length, size)


def _visible(keys: int, queries: int, window: int | None) -> mx.array:
    """Which of the keys each of the last ``queries`` positions sees, ``(queries, keys)``."""
    places, own = mx.arange(keys), mx.arange(keys - queries, keys)[:, None]
    visible = places <= own
    return visible if window is None else visible & (places > own - window)


@mx.custom_function
def _softmax(x: mx.array) -> mx.array:
    e = exp(x - mx.max(x, axis=-1, keepdims=True))
    return e * (1.0 / e.sum(axis=-1, keepdims=True))


@_softmax.vjp
def _softmax_vjp(_: Any, cotangent: mx.array, output: mx.array) -> mx.array:
    weighted = cotangent * output
    return weighted - output * weighted.sum(axis=-1, keepdims=True)


def swiglu(gate: mx.array, up: mx.array) -> mx.array:
    """``silu(gate) * up``, the activation kept for the backward pass."""
    if backend.name() != "cpu":
        return nn.silu(gate) * up
    sigmoid: Any = _sigmoid(gate)
    result: mx.array = sigmoid * gate * up
    return result


@mx.custom_function
def _sigmoid(x: mx.array) -> mx.array:
    return 1.0 / (1.0 + exp(-x))


@_sigmoid.vjp
def _sigmoid_vjp(_: Any, cotangent: mx.array, output: mx.array) -> mx.array:
    return cotangent * (output - output * output)


def gated(gate: mx.array, up: mx.array, activation: str) -> mx.array:
    """``activation(gate) * up`` that keeps nothing but its arguments for the backward pass.

    Args:
        gate: Any shape.
        up: The same shape.
        activation: ``silu``, or ``gelu`` in its approximation by a hyperbolic tangent.
    """
    result: Any = (_gated_gelu if activation == "gelu" else _gated_silu)(gate, up)
    product: mx.array = result
    return product


@mx.custom_function
def _gated_silu(gate: mx.array, up: mx.array) -> mx.array:
    return gate * sigmoid(gate) * up


@_gated_silu.vjp
def _gated_silu_vjp(primals: Any, cotangent: mx.array, output: Any) -> Any:
    gate, up = primals
    s = sigmoid(gate)
    silu = gate * s
    return cotangent * up * (s + silu - silu * s), cotangent * silu


# gelu(x) = x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) = x sigmoid(u(x)) (Hendrycks and Gimpel, 2016).
_GELU_LINEAR, _GELU_CUBIC = 1.5957691216057308, 1.5957691216057308 * 0.044715


@mx.custom_function
def _gated_gelu(gate: mx.array, up: mx.array) -> mx.array:
    x = gate.astype(mx.float32)  # its cube leaves float16 at 40
    return (x * sigmoid(x * (_GELU_LINEAR + _GELU_CUBIC * x * x))).astype(up.dtype) * up


@_gated_gelu.vjp
def _gated_gelu_vjp(primals: Any, cotangent: mx.array, output: Any) -> Any:
    gate, up = primals
    x = gate.astype(mx.float32)
    square = x * x
    s = sigmoid(x * (_GELU_LINEAR + _GELU_CUBIC * square))
    slope = s + x * s * (1.0 - s) * (_GELU_LINEAR + 3 * _GELU_CUBIC * square)
    return cotangent * up * slope.astype(up.dtype), cotangent * (x * s).astype(up.dtype)


def row_sums(x: mx.array) -> mx.array:
    """Sums over the last axis, kept as an axis of one; added up in float32, which Metal does not by itself."""
    return x.astype(mx.float32).sum(axis=-1, keepdims=True).astype(x.dtype)


def sigmoid(x: mx.array) -> mx.array:
    """Logistic function, fast on every back end. No gradient on the CPU."""
    return 1.0 / (1.0 + exp(-x)) if backend.name() == "cpu" else mx.sigmoid(x)


@mx.custom_function
def gated_swiglu(gate_SI: mx.array, up_SI: mx.array, weights_S1: mx.array) -> mx.array:
    """``silu(gate) * up * weight`` that keeps nothing but its arguments for the backward pass.

    One more exponential, three arrays of the experts' hidden size fewer: most of what a layer would keep.
    """
    return swiglu(gate_SI, up_SI) * weights_S1


@gated_swiglu.vjp
def _gated_swiglu_vjp(primals: Any, cotangent_SI: mx.array, output: Any) -> Any:
    gate, up, weights = primals
    s = sigmoid(gate)
    silu = gate * s
    toward_weights = row_sums(cotangent_SI * silu * up)
    weighted = cotangent_SI * weights
    return weighted * up * (s + silu - silu * s), weighted * silu, toward_weights


def cross_entropy(logits_MV: mx.array, targets_M: mx.array) -> mx.array:
    """Loss of each row in nats, ``(M,)``, reduced in float32 on every back end."""
    if backend.fused_cross_entropy():
        return mx.fast.cross_entropy(logits_MV, targets_M)
    logits_MV = logits_MV.astype(mx.float32)
    if backend.name() != "cpu":
        return (
            mx.logsumexp(logits_MV, axis=-1)
            - mx.take_along_axis(logits_MV, targets_M[:, None], axis=-1)[:, 0]
        )
    largest = mx.stop_gradient(mx.max(logits_MV, axis=-1, keepdims=True))
    parts: Any = _shifted_cross_entropy(logits_MV - largest, targets_M)
    losses: mx.array = parts[0]
    return losses


@mx.custom_function
def _shifted_cross_entropy(x_MV: mx.array, targets_M: mx.array) -> Any:
    """Losses, and the exponentials and their sums for the backward pass, of logits at or below zero."""
    e = exp(x_MV)
    sums_M1 = e.sum(axis=-1, keepdims=True)
    chosen = mx.take_along_axis(x_MV, targets_M[:, None], axis=-1)
    return (mx.log(sums_M1) - chosen)[:, 0], e, sums_M1


@_shifted_cross_entropy.vjp
def _shifted_cross_entropy_vjp(primals: Any, cotangents: Any, outputs: Any) -> Any:
    targets_M, toward, (_, e, sums_M1) = primals[1], cotangents[0], outputs
    rows = mx.arange(targets_M.size)
    probabilities = e * (toward[:, None] / sums_M1)
    return probabilities.at[rows, targets_M].add(-toward), mx.zeros_like(targets_M)
