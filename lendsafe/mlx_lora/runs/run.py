"""One fine-tuning run in its folder: adapt, train, validate, checkpoint, resume, finish.

The run folder holds ``run.json`` (settings, versions, identities), ``metrics.jsonl``, ``checkpoints/``,
``best/`` and, at the end, the last adapter in both formats, ``training_metrics.json``, ``loss.png`` and a model card.
"""

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_unflatten

from lendsafe.errors import DataError, DivergedError, LendSafeError, RefusedError
from lendsafe.files import disk_errors, refuse_existing, write_atomically, write_json
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange import adapter, foreign, targets
from lendsafe.mlx_lora.exchange.loading import (
    Base,
    activation_type,
    named_arrays,
)
from lendsafe.mlx_lora.generate import generate
from lendsafe.mlx_lora.runs import checkpoint, record
from lendsafe.mlx_lora.runs.card import write_card
from lendsafe.mlx_lora.runs.examples import tokenize
from lendsafe.mlx_lora.runs.parallel import Parallel
from lendsafe.mlx_lora.runs.signals import interruptible
from lendsafe.mlx_lora.runs.train import Step, Task, mean_loss, new_state, train
from lendsafe.mlx_lora.runs.watch import METRICS, Watch, plot_loss, read_metrics
from lendsafe.mlx_lora.step.batches import optimiser_steps
from lendsafe.mlx_lora.step.objective import NEXT_TOKEN, Objective
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.step.update import LossScale
from lendsafe.mlx_lora.tokens import Tokens, prompt_ids

BAD_STEPS = 8  # non-finite steps in a row before a run goes back to its last good checkpoint


class InterruptedRunError(LendSafeError):
    """A signal asked the run to stop; it saved a checkpoint first."""

    def __init__(self, run: Path, step: int, number: int) -> None:
        super().__init__(f"Stopped after step {step}. Continue with: lendsafe train --resume {run}")
        self.exit_code = 128 + number


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Conversations to train on and to validate on; the last message of each is the reply.

    Attributes:
        train: At least one.
        valid: May be empty.
        train_names: What to call the training examples in messages, such as their file and line; their
            numbers if empty.
        valid_names: The same for validation.
        source: Where it was read from; recorded, so that a run can be resumed by its folder alone.
        beside: Files that go into the run folder before its first step, by name.
        language: Digest of the language that is approved for its texts; empty if none is.
        notes: What was done with the rows on reading them; shown.
    """

    train: Sequence[record.Conversation]
    valid: Sequence[record.Conversation]
    train_names: Sequence[str] = ()
    valid_names: Sequence[str] = ()
    source: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)
    language: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a run goes on from, where that is not the bare base.

    Attributes:
        adapted: The base's adapters, which are on and hold the values to begin with.
        identity: Recorded; a run whose start is another is not resumed.
        trained: Hashes of rows that it was trained on.
        besides: Names of files that are in the run folder before it begins.
        examples: What is learned from in place of the conversations to train on, one for each.
        objective: What the examples are there for.
        origin: Folder of the adapter that it goes on from; recorded.
    """

    adapted: targets.Adapted
    identity: Mapping[str, Any]
    trained: frozenset[str] = frozenset()
    besides: tuple[str, ...] = ()
    examples: Sequence[Any] = ()
    objective: Objective = NEXT_TOKEN
    origin: str = ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a finished run reached.

    Attributes:
        run: Its folder.
        steps: Optimiser steps done.
        train_loss: Mean loss of the last epoch's steps, nats per token.
        valid_loss: At the end, or None without validation data.
        best_loss: Lowest validation loss, or None.
        best_step: Where that was.
        seconds: Training time of this process.
    """

    run: Path
    steps: int
    train_loss: float
    valid_loss: float | None
    best_loss: float | None
    best_step: int | None
    seconds: float


def fine_tune(  # noqa: PLR0913  # each is a choice of its own
    base: Base,
    data: Dataset,
    config: TrainConfig,
    out: Path,
    *,
    start: Start | None = None,
    adapter_folder: Path | None = None,
    resume: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> Result:
    """Train an adapter and write the run folder.

    Args:
        base: Loaded base model; gets adapters, or has those of ``start``.
        data: What to train on.
        config: Settings.
        out: Run folder; must be new or empty, unless resuming.
        start: What it goes on from; None begins with new adapters.
        adapter_folder: Adapter to go on from, of ours, PEFT's or mlx-lm's; its rank, scale and layers are the run's.
        resume: Continue from the newest valid checkpoint of ``out``.
        force: Resume although base, data or a setting has changed; recorded in ``run.json``.
        quiet: Show no progress.

    Raises:
        ExistsError: If ``out`` holds something else, or another process trains in it.
        DataError: If an example cannot be used.
        RefusedError: If the run to resume is of another base, data set or setting.
        DivergedError: If loss or gradients stayed non-finite.
        TooLargeError: If the device ran out of memory or failed; a new process may resume.
        InterruptedRunError: After SIGINT or SIGTERM, with a checkpoint saved.
    """
    parallel = Parallel()
    if resume:
        base = record.as_then(base, out)
    elif parallel.leads:
        mine = (".lock", checkpoint.STRAYS, *(start.besides if start else ()))
        refuse_existing(out, besides=mine, hint=f", or continue it with --resume {out}")
    if adapter_folder:
        start, config = _adapted_from(adapter_folder, base, config)
    quiet = quiet or not parallel.leads
    run = _Run(base, data, config, out, parallel, start=start, quiet=quiet)  # refuses bad examples
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    if not parallel.leads:
        return run.execute(resume=resume, force=force)
    with checkpoint.lock(out):
        return run.execute(resume=resume, force=force)


def _adapted_from(folder: Path, base: Base, config: TrainConfig) -> tuple[Start, TrainConfig]:
    """A start with the arrays of another adapter, and the settings that are its own.

    Raises:
        RefusedError: If they do not fit the model.
    """
    lora, arrays = foreign.read(folder, base)
    config = replace(config, **asdict(lora) | {"dropout": config.dropout})
    parameters = adapter.LoraParameters(rank=config.rank, scale=config.scale, dropout=config.dropout)
    adapted = adapter.attach(base.model, arrays, parameters, folder)
    layers = list(targets.adapters(base.model))
    config = replace(config, targets=adapter.layer_keys(base.model, layers)[0])
    origin, trained = str(folder.resolve()), record.trained_rows(folder)
    return Start(adapted=adapted, identity={}, origin=origin, trained=trained), config


class _Run:
    """The state of one call of :func:`fine_tune`."""

    def __init__(
        self,
        base: Base,
        data: Dataset,
        config: TrainConfig,
        out: Path,
        parallel: Parallel,
        *,
        start: Start | None,
        quiet: bool,
    ) -> None:
        if not data.train:
            raise DataError("No training examples.")
        self.base, self.data, self.config, self.out, self.parallel = base, data, config, out, parallel
        self.checkpoints = out / "checkpoints"
        self.examples = tokenize(base, data.train, config, data.train_names)
        self.valid = tokenize(base, data.valid, config, data.valid_names)
        if not self.examples:
            raise DataError(
                f"All {len(data.train)} examples are longer than --max-length {config.max_length}."
            )
        self.start = start or Start(
            adapted=targets.add_adapters(base.model, config, seed=config.seed), identity={}
        )
        self.adapted = self.start.adapted
        self.techniques = Techniques(recompute=config.recompute)
        self.budget = config.token_budget or config.batch_size * config.max_length
        steps = optimiser_steps(len(self.examples), config.window, config.epochs)
        self.total = min(steps, config.max_steps or steps)
        self.watch = Watch(out, self.total, log_to=config.log_to if parallel.leads else "none", quiet=quiet)
        self.state = new_state(config, activation_type(base.model))
        self.best: dict[str, Any] = {"loss": None, "step": None, "stale": 0}
        self.bad = 0  # non-finite steps in a row
        self.went_back = False
        self.saved: int | None = None  # step of the last checkpoint written
        self.unpruned = False

    def execute(self, *, resume: bool, force: bool) -> Result:
        start = time.perf_counter()
        if resume:
            self._resume(force=force)
        else:
            self._begin()
        try:
            with backend.device_errors():
                self._steps()
        finally:
            self.watch.close()
        return self._finish(time.perf_counter() - start)

    # -- the parts of a run, in order ------------------------------------------------------------

    def _begin(self) -> None:
        if self.parallel.leads:
            checkpoint.clean(self.out)
            for name, content in self.data.beside.items():
                write_atomically(self.out / name, content)
            origin = {"started_from": self.start.origin} if self.start.origin else {}
            write_json(self.out / "run.json", self._identity() | origin)
            if self.base.own_template:
                write_atomically(self.out / adapter.TEMPLATE, str(self.base.template))
            rows = [*map(record.row_hash, self.data.train), *sorted(self.start.trained)]
            write_atomically(self.out / "training_rows.txt", "\n".join(rows) + "\n")
            self._save()
        self._announce()

    def _announce(self) -> None:
        self.watch.say(targets.table(self.adapted.matches))
        for warning in self.adapted.warnings:
            self.watch.say(f"warning: {warning}")
        share = self.adapted.trainable / self.adapted.total
        self.watch.say(
            f"trainable parameters: {self.adapted.trainable:,} of {self.adapted.total:,} ({share:.4%});"
            f" {len(self.examples):,} examples, {self.total} optimiser steps"
        )
        for note in (*self.data.notes, *self._remarks()):
            self.watch.say(note)

    def _remarks(self) -> Iterator[str]:
        """What a user should know of the examples and the schedule, a line each."""
        count, longest = len(self.examples), self.config.max_length
        if cut := sum(one.cut for one in self.examples):
            yield (
                f"warning: {cut} of {count} examples are longer than --max-length {longest}; their replies are cut"
                " and keep their end mark"
            )
        if merged := sum(one.merged for one in self.examples):
            yield (
                f"warning: the chat template takes no system message; in {merged} of {count} examples it stands at"
                " the head of the user's"
            )
        if defused := sum(one.defused > 0 for one in self.examples):
            yield (
                f"warning: {defused} of {count} examples hold names of control tokens, which are plain text here"
                " (--control-tokens replies: not in replies)"
            )
        if self.config.overlong == "drop" and (gone := len(self.data.train) - count) > 0:
            yield f"warning: {gone} examples are longer than --max-length {longest} and were dropped"
        warmup = self.config.warmup(self.total)
        if warmup >= self.total:
            yield (
                f"warning: the warm-up of {warmup} steps is as long as the run of {self.total}: the learning rate never"
                " gets to its peak; try --warmup-ratio 0.1"
            )
        else:
            yield f"warm-up: {warmup} of {self.total} steps, then {self.config.schedule}"

    def _steps(self) -> None:
        task = Task(
            model=self.base.model,
            examples=self.start.examples or self.examples,
            objective=self.start.objective,
            config=self.config,
            total=self.total,
            keys=self.adapted.keys,
            budget=self.budget,
            techniques=self.techniques,
            parallel=self.parallel,
        )
        with ExitStack() as stack:
            pending = stack.enter_context(interruptible())
            self.base.model.train()  # some architectures compute by kernels that have no backward pass otherwise
            stack.callback(self.base.model.eval)
            while self.state.step < self.total and not self._stale():
                for step in train(task, self.state):
                    self._lead(self.watch.step, step)
                    self.bad = self.bad + 1 if step.skipped else 0
                    if self.bad >= BAD_STEPS or not self._sound(step):
                        self._go_back(step)
                        break
                    self._between(step, pending)
                    if self._stale():
                        break
        if self._stale() and self.state.step < self.total:
            self.watch.say(f"no better validation loss for {self.config.patience} validations: stopping")
            self._lead(self._save)

    def _sound(self, step: Step) -> bool:
        """Validate if it is due; whether the adapter is fit to be kept.

        A step's loss tells about the weights before it, so the last weights are tried on one more example.
        """
        last = step.number == self.total
        if self.valid and (last or (self.config.eval_every and step.number % self.config.eval_every == 0)):
            return math.isfinite(self._validate(step.number))
        return not last or math.isfinite(self._mean_loss(self.examples[:1]))

    def _mean_loss(self, examples: Sequence[Tokens]) -> float:
        return mean_loss(
            self.base.model,
            examples,
            budget=self.budget,
            techniques=self.techniques,
            parallel=self.parallel,
        )

    def _between(self, step: Step, pending: list[int]) -> None:
        """What happens after a sound step: checkpoint, a pending signal."""
        if self.unpruned and not step.skipped:  # the newest checkpoint has proven good: let older ones go
            self._lead(checkpoint.prune, self.checkpoints, self.config.keep, self.saved)
            self.unpruned = False
        stop = self.parallel.largest(pending[0] if pending else 0)
        due = step.number % self.config.save_every == 0 and not step.skipped
        if step.number == self.total or stop or due:
            self._lead(self._save)
        if stop:
            raise InterruptedRunError(self.out, step.number, stop)

    def _validate(self, number: int) -> float:
        loss = self._mean_loss(self.valid)
        better = math.isfinite(loss) and (self.best["loss"] is None or loss < self.best["loss"])
        self.best = (
            {"loss": loss, "step": number, "stale": 0}
            if better
            else self.best | {"stale": self.best["stale"] + 1}
        )
        if not self.parallel.leads:
            return loss
        self.watch.record("valid", {"number": number, "loss": loss})
        self.watch.say(f"step {number}: validation loss {loss:.4f}" + (" (best)" if better else ""))
        if better:
            best = self.out / "best"
            with disk_errors(best):
                best.mkdir(exist_ok=True)
            adapter.save(best, self.base.model, self.config, self.base)
        if math.isfinite(loss):
            self._sample(number)
        return loss

    def _sample(self, number: int) -> None:
        chosen = [one for one in self.data.valid if len(one) > 1][: self.config.samples]
        if not chosen:
            return
        self.base.model.eval()
        try:
            prompts = [prompt_ids(self.base.tokenizer, one[:-1]) for one in chosen]
            replies = generate(
                self.base.model, self.base.tokenizer, prompts, max_tokens=self.config.max_length
            )
        except (
            Exception
        ) as problem:  # a sample is shown, nothing depends on it; but a device that failed has failed
            if backend.is_device_failure(problem):
                raise
            why = " ".join(f"{type(problem).__name__}: {problem}".split())[:200]
            self.watch.say(f"warning: no samples at step {number}: {why}")
            self.watch.record("sample_failed", {"number": number, "why": why})
            return
        finally:
            self.base.model.train()
        for one, reply in zip(chosen, replies, strict=True):
            self.watch.record(
                "sample",
                {
                    "number": number,
                    "prompt": one[-2].content,
                    "text": reply.text,
                    "reference": one[-1].content,
                },
            )

    def _finish(self, seconds: float) -> Result:
        rows = read_metrics(self.out)
        losses = [row["loss"] for row in rows if row["event"] == "step" and row["loss"] is not None]
        per_epoch = -(-len(self.examples) // self.config.window)
        tail = losses[-per_epoch:]
        valid = [row["loss"] for row in rows if row["event"] == "valid" and row["loss"] is not None]
        result = Result(
            run=self.out,
            steps=self.state.step,
            train_loss=sum(tail) / len(tail) if tail else math.nan,
            valid_loss=valid[-1] if valid else None,
            best_loss=self.best["loss"],
            best_step=self.best["step"],
            seconds=seconds,
        )
        if self.parallel.leads:
            checkpoint.prune(self.checkpoints, self.config.keep, self.state.step)
            adapter.save(self.out, self.base.model, self.config, self.base)
            write_json(self.out / "training_metrics.json", self._summary(result, rows))
            plot_loss(self.out)
            write_card(self.out, self.base, self.config, self._summary(result, []))
        return result

    # -- going back and going on -----------------------------------------------------------------

    def _go_back(self, step: Step) -> None:
        """Return to the last good checkpoint with half the learning rate; the second time, give up.

        A checkpoint is good if a finite step followed it: the weights that the bad steps began with are not.
        """
        first = step.number - self.bad  # the step whose weights gave the first non-finite loss
        found, _ = checkpoint.newest_valid(self.checkpoints, before=first)
        if found is None:  # bad from the beginning
            found, _ = checkpoint.newest_valid(self.checkpoints)
        assert found is not None  # the run saved one before its first step
        self.parallel.barrier()  # all have read it
        self._lead(checkpoint.remove_after, self.checkpoints, found.state["step"])
        if self.went_back:
            raise DivergedError(
                f"Loss or gradient was not finite at step {step.number}, again after going back with half the"
                f" learning rate. {found.path} is the last good checkpoint."
                f" Try a lower --learning-rate than {self.config.learning_rate:g}."
            )
        factor, skipped, best = self.state.rate_factor / 2, self.watch.skipped, self.best
        self._restore(found)
        self.state.rate_factor, self.watch.skipped, self.went_back = factor, skipped, True
        self.best = best  # best/ still holds it
        if self.parallel.leads:
            self.watch.record("back", {"number": step.number, "to": self.state.step})
        self.watch.say(
            f"step {step.number}: not finite; back to {found.path.name} with half the learning rate"
        )

    def _resume(self, *, force: bool) -> None:
        stored = record.read(self.out)
        changed = record.differences(stored, self._identity())
        if changed and not force:
            raise RefusedError(
                f"{self.out}: cannot resume: {'; '.join(changed)}. --force resumes all the same."
            )
        if self.parallel.leads:
            for folder in (self.out, self.checkpoints, self.out / "best"):
                checkpoint.clean(folder)
        found, passed_over = checkpoint.newest_valid(self.checkpoints)
        self.parallel.barrier()  # all have read it, before the first one writes
        for why in passed_over:
            self.watch.say(f"passed over {why}")
        if found is None:
            if passed_over:
                raise RefusedError(f"{self.checkpoints}: no valid checkpoint to resume from.")
            if (self.out / adapter.MLX_FILE).exists():
                raise RefusedError(
                    f"{self.out}: an adapter and no checkpoint, so nothing to resume; go on from it with --adapter"
                    f" {self.out} and another --out."
                )
            self.watch.say("no checkpoint yet: beginning anew")
            self._begin()
            return
        self._restore(found)
        self.watch.say(f"resuming from {found.path.name}")
        if self.parallel.leads:
            if changed:
                write_json(self.out / "run.json", self._identity() | {"forced": changed})
            write_atomically(self.out / METRICS, found.metrics)

    def _restore(self, found: checkpoint.Checkpoint) -> None:
        adapter.restore(self.base.model, found.adapter)
        state = found.state
        fresh = new_state(self.config, activation_type(self.base.model))
        if found.moments:
            fresh.optimizer.state = tree_unflatten(list(found.moments.items()))
        self.state.optimizer = fresh.optimizer
        self.state.scale = LossScale(**state["loss_scale"])
        self.state.step, self.state.rate_factor = state["step"], state["rate_factor"]
        self.best, self.bad, self.went_back = state["best"], state["bad"], state["went_back"]
        self.watch.skipped = state["skipped"]
        self.saved = self.state.step

    def _save(self) -> None:
        if self.saved == self.state.step:
            return
        arrays = adapter.arrays(self.base.model)
        if not all(bool(mx.isfinite(array).all()) for array in arrays.values()):
            raise DivergedError(f"{self.out}: the adapter is not finite; it was not saved.")
        scale, metrics = self.state.scale, self.out / METRICS
        with disk_errors(metrics):
            log = metrics.read_bytes() if metrics.exists() else b""
        checkpoint.write(
            self.checkpoints,
            self.state.step,
            adapter=arrays,
            moments=named_arrays(self.state.optimizer.state) if self.state.step else {},
            state={
                "step": self.state.step,
                "rate_factor": self.state.rate_factor,
                "loss_scale": {
                    "value": scale.value,
                    "good_steps": scale.good_steps,
                    "enabled": scale.enabled,
                },
                "best": self.best,
                "bad": self.bad,
                "went_back": self.went_back,
                "skipped": self.watch.skipped,
                "order": self._order(),
            }
            | self._identity(),
            metrics=log,
        )
        self.saved, self.unpruned = self.state.step, True

    def _order(self) -> dict[str, int]:
        """Where in the data the next step begins; the order within an epoch follows from its seed."""
        per_epoch = -(-len(self.examples) // self.config.window)
        epoch, window = divmod(self.state.step, per_epoch)
        return {"seed": self.config.seed, "epoch": epoch, "cursor": window * self.config.window}

    # -- small things ----------------------------------------------------------------------------

    def _lead(self, action: Any, *arguments: Any) -> None:
        if self.parallel.leads:
            action(*arguments)

    def _stale(self) -> bool:
        return self.config.patience is not None and self.best["stale"] >= self.config.patience

    def _identity(self) -> dict[str, Any]:
        return {
            "settings": asdict(self.config) | {"targets": list(self.config.targets)},
            "base": {
                "name": self.base.name,
                "identity": self.base.identity,
                "weights": self.base.weights_identity,
                "tokenizer": self.base.tokenizer_identity,
                "template": self.base.template_identity,
                "revision": self.base.revision,
                "day": self.base.day,
            },
            "data": {
                "source": self.data.source,
                "identity": self._data_identity(),
                "language": self.data.language,
                "train": len(self.data.train),
                "valid": len(self.data.valid),
            },
            "start": dict(self.start.identity),
            "adapter": {"trainable": self.adapted.trainable, "total": self.adapted.total},
            "versions": record.versions(),
            "backend": backend.name(),
            "total_steps": self.total,
        }

    def _data_identity(self) -> str:
        """SHA-256 of the tokens that are learned and validated on."""
        digest = hashlib.sha256()
        for part in (self.examples, self.valid):
            for one in part:
                digest.update(one.ids.tobytes() + one.reply_start.to_bytes(8, "little"))
            digest.update(b"|")
        return digest.hexdigest()

    def _summary(self, result: Result, rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "train_loss": result.train_loss,
            "eval_loss": result.valid_loss,
            "best_eval_loss": result.best_loss,
            "best_step": result.best_step,
            "total_steps": result.steps,
            "epochs": self.config.epochs,
            "train_examples": len(self.examples),
            "eval_examples": len(self.valid),
            "trainable_parameters": self.adapted.trainable,
            "total_parameters": self.adapted.total,
            "trainable_percent": 100 * self.adapted.trainable / self.adapted.total,
            "train_runtime": sum(r["seconds"] for r in rows if r["event"] == "step")
            if rows
            else result.seconds,
            "peak_memory_gb": mx.get_peak_memory() / 1e9,
            "skipped_steps": self.watch.skipped,
            "log_history": [row for row in rows if row["event"] != "sample"],
        }
