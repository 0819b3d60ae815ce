"""Do losses and gradients on this back end equal the CPU's? ``python -m bench.equal`` exits with 1 if not.

Every family at toy size, heads of 16 and of 64, prefixes of every length that matters to a kernel, each way of
computing; in float32 without the GPU's 19-bit products, and in float16 on a GPU.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

os.environ.setdefault("MLX_ENABLE_TF32", "0")  # read when MLX is loaded

import mlx.nn as nn
import numpy as np

from bench import models
from bench.shapes import FAMILIES, of_family
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange.loading import named_arrays
from lendsafe.mlx_lora.exchange.targets import add_adapters
from lendsafe.mlx_lora.step.loss import loss_sum
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens

import mlx.core as mx  # isort: skip  # after OpenBLAS

# Share by which loss and gradient may differ from float32 on the CPU. A flipped choice of an expert is larger.
TOLERANCE = {"float32": 1e-3, "float16": 3e-2}
PREFIXES = (0, 4, 7, 15, 16, 20, 90)
GPU = Techniques(buckets=True, kernels=True, one_product=True, one_a=True)
WAYS = {
    "packed": Techniques(),
    "packed, rounded, kernels, one product, one A": GPU,
    "packed, layers recomputed": replace(GPU, recompute="layer"),
    "padded": Techniques(packed=False),
}
Found = tuple[float, dict[str, np.ndarray]]


def shape_of(family: str, head: int) -> dict[str, Any]:
    """A toy of a family."""
    sizes = {
        "hidden_size": 2 * head,
        "head_dim": head,
        "num_hidden_layers": 2,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "vocab_size": 512,
    }
    return of_family(family, sizes)


def batch(prefix: int) -> list[Tokens]:
    """Ragged examples with a common beginning."""
    rng = np.random.default_rng(prefix)
    made = []
    for prompt, reply in ((3, 20), (11, 6), (40, 31), (2, 1)):
        own = rng.integers(0, 512, prompt + reply)
        made.append(Tokens(np.concatenate([np.arange(prefix), own]).astype(np.int32), prefix + prompt))
    return made


def loss_and_gradients(
    device: mx.Device, shape: dict[str, Any], window: list[Tokens], techniques: Techniques, precision: str
) -> Found:
    """Loss sum and gradient of every adapter array of a toy model with adapters on all its layers."""
    mx.set_default_device(device)
    with mx.stream(mx.cpu):  # the same numbers on both
        weights = models.random_weights(shape, precision)
        model = models.model_with(shape, weights)
        add_adapters(model, TrainConfig(targets=("all",), dropout=0.0), seed=1)
        for number, (name, array) in enumerate(named_arrays(model.trainable_parameters()).items()):
            if name.endswith("lora_b"):
                drawn = mx.random.normal(array.shape, key=mx.random.key(number)) * 0.05
                model.load_weights([(name, drawn)], strict=False)
        mx.eval(model.parameters())
    loss, grads = nn.value_and_grad(model, lambda: loss_sum(model, window, techniques))()
    mx.eval(loss, grads)
    return loss.item(), {name: np.array(grad, np.float32) for name, grad in named_arrays(grads).items()}


def difference(got: Found, expected: Found) -> float:
    """The larger of the relative differences of loss and whole gradient."""
    errors = [np.linalg.norm(got[1][key] - expected[1][key]) for key in expected[1]]
    whole = np.linalg.norm([np.linalg.norm(one) for one in expected[1].values()])
    return max(abs(got[0] / expected[0] - 1), float(np.linalg.norm(errors) / whole))


def cases() -> Iterator[tuple[str, dict[str, Any], int, str]]:
    """Family, shape, prefix and precision."""
    for family in FAMILIES:
        yield family, shape_of(family, 16), 20, "float32"
        yield family, shape_of(family, 64), 20, "float32"
    for prefix in PREFIXES:
        yield "granitemoe", shape_of("granitemoe", 64), prefix, "float32"
        if backend.name() != "cpu":
            yield "granitemoe", shape_of("granitemoe", 64), prefix, "float16"


def main() -> int:
    """Compare every way with the CPU's padded one."""
    here, worst, failed = mx.default_device(), 0.0, 0
    for family, shape, prefix, precision in cases():
        window = batch(prefix)
        expected = loss_and_gradients(mx.Device(mx.cpu), shape, window, Techniques(packed=False), "float32")
        for name, way in WAYS.items():
            case = f"{family}, heads of {shape['head_dim']}, prefix {prefix}, {precision}, {name}"
            try:
                got = loss_and_gradients(here, shape, window, replace(way, side_by_side=False), precision)
            except RuntimeError as problem:
                print(f"FAILED  {case}: {' '.join(str(problem).split())[:160]}")
                failed += 1
                continue
            apart = difference(got, expected)
            worst = max(worst, apart)
            if not apart <= TOLERANCE[precision]:
                print(f"APART   {case}: {apart:.1e}")
                failed += 1
        mx.set_default_device(here)
    print(f"{backend.name()}: {failed} of the cases differ or fail; largest difference {worst:.1e}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
