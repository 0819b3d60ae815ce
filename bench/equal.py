"""Do losses and gradients on this back end equal the CPU's? ``python -m bench.equal`` exits with 1 if not."""

import sys

import mlx.nn as nn
import numpy as np

from bench import data, models
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange.loading import named_arrays
from lendsafe.mlx_lora.exchange.targets import add_adapters
from lendsafe.mlx_lora.planning import footprint
from lendsafe.mlx_lora.step.loss import loss_sum
from lendsafe.mlx_lora.step.techniques import Techniques

import mlx.core as mx  # isort: skip  # after OpenBLAS

# Share by which float32 may differ: a GPU may multiply with 19-bit mantissas (TF32).
TOLERANCE = 2e-3


def loss_and_gradients(device: mx.Device, techniques: Techniques) -> tuple[float, dict[str, np.ndarray]]:
    """Loss sum and gradient of every adapter array of a toy model with adapters on all its layers."""
    mx.set_default_device(device)
    shape = footprint.shape_of("granite-toy")
    with mx.stream(mx.cpu):  # the same numbers on both
        weights = models.random_weights(shape, "float32")
    model = models.model_with(shape, weights)
    with mx.stream(mx.cpu):
        add_adapters(model, TrainConfig(targets=("all",), dropout=0.0), seed=1)
        for number, (name, array) in enumerate(named_arrays(model.trainable_parameters()).items()):
            if name.endswith("lora_b"):
                drawn = mx.random.normal(array.shape, key=mx.random.key(number)) * 0.05
                model.load_weights([(name, drawn)], strict=False)
        mx.eval(model.parameters())
    batch = data.examples(4, vocabulary=shape["vocab_size"])
    loss, grads = nn.value_and_grad(model, lambda: loss_sum(model, batch, techniques))()
    mx.eval(loss, grads)
    return loss.item(), {name: np.array(grad) for name, grad in named_arrays(grads).items()}


def main() -> int:
    """Compare the packed and the plain step with the plain one of the CPU."""
    here = mx.default_device()
    expected_loss, expected = loss_and_gradients(mx.Device(mx.cpu), Techniques(packed=False))
    worst = 0.0
    for name, techniques in (("packed", Techniques(side_by_side=False)), ("plain", Techniques(packed=False))):
        loss, grads = loss_and_gradients(here, techniques)
        errors = [np.linalg.norm(grads[key] - expected[key]) for key in expected]
        whole = np.linalg.norm([np.linalg.norm(one) for one in expected.values()])
        difference = max(abs(loss / expected_loss - 1), float(np.linalg.norm(errors) / whole))
        worst = max(worst, difference)
        print(f"{backend.name()}, {name}: loss {loss:.5f}, the CPU's {expected_loss:.5f};", end=" ")
        print(f"largest difference {difference:.1e}")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
