"""How long does it take, and how much memory, to load a model that is stored in float32?"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import models
from bench.harness import Result, alternate, save, table
from lendsafe.files import write_json
from lendsafe.mlx_lora.exchange import loading
from lendsafe.mlx_lora.planning import footprint

import mlx.core as mx  # isort: skip  # after OpenBLAS


def run(
    model: str, *, precision: str, quantize: int | None, repetitions: int, say: Callable[[str], None]
) -> list[Result]:
    """Write a model of a shape with random weights in float32, then load it again and again."""
    shape = footprint.shape_of(model)
    peaks: list[float] = []
    with TemporaryDirectory() as folder:
        path = Path(folder)
        write_json(path / "config.json", shape)
        weights = models.random_weights(shape, "float32")
        mx.save_safetensors(str(path / "model.safetensors"), weights)
        stored = sum(array.nbytes for array in weights.values())
        weights.clear()
        mx.clear_cache()

        def load(_: int) -> float:
            held = mx.get_active_memory()
            mx.reset_peak_memory()
            start = time.perf_counter()
            loaded = loading.load_model(path, shape, precision=precision, quantize=quantize)
            seconds = time.perf_counter() - start
            peaks.append(float(mx.get_peak_memory() - held))
            del loaded
            return seconds

        series = alternate({"lendsafe": load}, repetitions=repetitions, say=say)["lendsafe"]
    case = f"{model}, float32 on disk, to {f'{quantize} bits' if quantize else precision}"
    facts: dict[str, float | None] = {"peak_bytes": max(peaks), "stored_bytes": float(stored)}
    results = [Result("load", case, "lendsafe", "s", series, facts)]
    say(f"\n{rows(results)}\n\n{save(results)}")
    return results


def rows(results: list[Result]) -> str:
    """Table of one measurement."""
    body = [
        [
            one.case,
            one.series.text(),
            f"{one.facts['peak_bytes'] or 0:,.0f}",
            f"{one.facts['stored_bytes'] or 0:,.0f}",
        ]
        for one in results
    ]
    return table([["", "s", "peak, bytes", "stored, bytes"], *body])
