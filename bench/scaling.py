"""Does the cost grow as the data does, and how long does it take until the first step?"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from bench import data, models, train
from bench.harness import Result, alternate, save, table
from bench.trainers import Setting
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.step.techniques import Techniques


def run(
    model: str, config: TrainConfig, counts: Sequence[int], *, repetitions: int, say: Callable[[str], None]
) -> list[Result]:
    """Time the same number of windows of data sets of several sizes, in turn, and the start of the program."""
    precision = models.precision_of(config)
    shape, weights = models.base(model, precision, random=True)
    setting = Setting(shape, weights, config, models.dtype_of(precision))
    made = data.examples(max(counts), vocabulary=shape["vocab_size"])
    trainers, windows, tokens = {}, {}, {}
    for count in counts:
        windows[count] = data.in_windows(made[:count], config.window)
        trainers[count] = train.ours(setting, windows[count][:8], Techniques())
        tokens[count] = sum(map(len, made[:count]))

    def epoch(count: int) -> Callable[[int], float]:
        def call(number: int) -> float:
            chosen = windows[count][number % len(windows[count])]
            seconds = time.process_time()  # other work on the machine does not count
            trainers[count].step(chosen)
            return (time.process_time() - seconds) / sum(map(len, chosen)) * tokens[count]

        return call

    systems: dict[str, Callable[[int], float | None]] = {
        f"{count:,} examples": epoch(count) for count in counts
    }
    series = alternate(systems, repetitions=repetitions, say=say)
    case = f"{model} {precision}, an epoch by the processor seconds of its windows"
    results = [
        Result(
            "scaling",
            case,
            name,
            "processor s",
            one,
            {"examples": float(count), "per_token_us": one.median / tokens[count] * 1e6},
        )
        for (name, one), count in zip(series.items(), counts, strict=True)
    ]
    start = alternate({"start": _start}, repetitions=repetitions, say=say)["start"]
    results.append(
        Result(
            "scaling", case, "start of lendsafe train, until the model is asked for", "processor s", start, {}
        )
    )
    say(f"\n{rows(results)}\n\n{save(results)}")
    return results


def _start(_: int) -> float:
    """Processor seconds of a fresh process that imports all that training needs and loads granite-tiny."""
    code = (
        "import time; from lendsafe.pipeline import training; from lendsafe.mlx_lora.exchange import loading;"
        "loading.load('granite-tiny'); print(time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def rows(results: Sequence[Result]) -> str:
    """Table of one measurement."""
    body = []
    for one in results:
        cost = one.facts.get("per_token_us")
        body.append([one.system, one.series.text(), "" if cost is None else f"{cost:.1f}"])
    return table([["", "processor s", "µs a token"], *body])
