"""What a run shows while it works: metrics.jsonl, a progress line, loss.png, an optional logger.

Progress goes to stderr; on a terminal as one line that is redrawn, elsewhere as plain lines.
"""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TextIO

import mlx.core as mx

from lendsafe.errors import ConfigError
from lendsafe.files import disk_errors, replace_file
from lendsafe.mlx_lora.runs.train import Step
from lendsafe.terminal import redraws

METRICS = "metrics.jsonl"
PLAIN_EVERY = 10  # steps between lines where there is no terminal


class Logger(Protocol):
    """A metrics library's client."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Record the values of one step."""

    def close(self) -> None:
        """Flush and disconnect."""


class Watch:
    """Records and shows the steps of one run.

    Args:
        run: Run folder; ``metrics.jsonl`` is appended to.
        total: Optimiser steps of the whole run.
        log_to: Name of an optional metrics library.
        quiet: Show nothing.
        stream: Where progress is shown.
    """

    def __init__(
        self,
        run: Path,
        total: int,
        *,
        log_to: str = "none",
        quiet: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self.run, self.total, self.quiet = run, total, quiet
        self.stream = stream or sys.stderr
        self._redraw = redraws(self.stream) and not quiet
        self._logger = _logger(log_to, run)
        self._started = time.perf_counter()
        self._first: int | None = None
        self._tokens = 0
        self.skipped = 0

    def step(self, step: Step) -> None:
        """Record one optimiser step."""
        self._first = self._first if self._first is not None else step.number - 1
        self._tokens += step.tokens
        self.skipped += step.skipped
        values = asdict(step) | {
            "tokens_per_second": step.tokens / step.seconds,
            "peak_memory_gb": mx.get_peak_memory() / 1e9,
            "skipped_steps": self.skipped,
        }
        self.record("step", values)
        if self._redraw or step.number % PLAIN_EVERY == 0 or step.number == self.total:
            self._show(self._line(step))

    def record(self, event: str, values: Mapping[str, Any]) -> None:
        """Append one event to ``metrics.jsonl`` and pass its numbers to the logger."""
        path = self.run / METRICS
        row = {"event": event} | {key: _finite(value) for key, value in values.items()}
        with disk_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        if self._logger:
            numbers = {f"{event}/{k}": float(v) for k, v in row.items() if isinstance(v, int | float)}
            self._logger.log(numbers, int(values["number"]))

    def say(self, text: str) -> None:
        """Show a line that stays."""
        if not self.quiet:
            self.stream.write(("\r\x1b[2K" if self._redraw else "") + text + "\n")
            self.stream.flush()

    def close(self) -> None:
        """Leave the progress line and close the logger."""
        if self._redraw:
            self.stream.write("\n")
        if self._logger:
            self._logger.close()

    def _show(self, line: str) -> None:
        if self.quiet:
            return
        self.stream.write(f"\r\x1b[2K{line}" if self._redraw else line + "\n")
        self.stream.flush()

    def _line(self, step: Step) -> str:
        elapsed = time.perf_counter() - self._started
        done = step.number - (self._first or 0)
        left = elapsed / done * (self.total - step.number)
        return (
            f"step {step.number}/{self.total}  loss {step.loss:.3f}  lr {step.learning_rate:.1e}"
            f"  {self._tokens / elapsed:,.0f} tokens/s  peak {mx.get_peak_memory() / 1e9:.2f} GB"
            f"  ETA {int(left) // 60}:{int(left) % 60:02d}" + ("  skipped" if step.skipped else "")
        )


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Events of a run; a last line that a crash cut off is left out."""
    path = run / METRICS
    if not path.exists():
        return []
    rows = []
    for line in path.read_text("utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def plot_loss(run: Path) -> None:
    """Draw ``loss.png`` from ``metrics.jsonl``: loss of every step, validation loss, learning rate."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_metrics(run)
    steps = [row for row in rows if row["event"] == "step" and row["loss"] is not None]
    valid = [row for row in rows if row["event"] == "valid"]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([r["number"] for r in steps], [r["loss"] for r in steps], color="#4477aa", label="training")
    if valid:
        axes.plot(
            [r["number"] for r in valid],
            [r["loss"] for r in valid],
            "o-",
            color="#cc3311",
            label="validation",
        )
    axes.set(xlabel="optimiser step", ylabel="loss (nats per token)", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    rate = axes.twinx()
    rate.plot([r["number"] for r in steps], [r["learning_rate"] for r in steps], color="#bbbbbb", lw=1)
    rate.set(ylabel="learning rate", ylim=(0, None))
    canvas = FigureCanvasAgg(figure)
    replace_file(run / "loss.png", lambda path: canvas.print_png(path))


def _finite(value: Any) -> Any:
    """JSON has no NaN: a number that is not finite becomes null."""
    return None if isinstance(value, float) and value - value != 0 else value


def _logger(library: str, run: Path) -> Logger | None:
    if library == "none":
        return None
    try:
        return _LOGGERS[library](run)
    except ImportError as problem:
        raise ConfigError(
            f"--log-to {library}: {problem.name} is not installed. Try: pip install {problem.name}"
        ) from problem


class _TensorBoard:
    def __init__(self, run: Path) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(run / "tensorboard"))

    def log(self, values: Mapping[str, float], step: int) -> None:
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)

    def close(self) -> None:
        self._writer.close()


class _WandB:
    def __init__(self, run: Path) -> None:
        import wandb

        self._run = wandb.init(project="lendsafe", name=run.name, dir=str(run))

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    def __init__(self, run: Path) -> None:
        import mlflow

        self._client = mlflow
        mlflow.start_run(run_name=run.name)

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._client.log_metrics({key.replace("/", "."): value for key, value in values.items()}, step=step)

    def close(self) -> None:
        self._client.end_run()


_LOGGERS: dict[str, Any] = {"tensorboard": _TensorBoard, "wandb": _WandB, "mlflow": _MLflow}
