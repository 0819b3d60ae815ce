"""Data in, run out: everything about the data is checked before a model is loaded."""

from collections.abc import Sequence
from pathlib import Path

from lendsafe.corpus import load as corpus
from lendsafe.corpus.load import Example
from lendsafe.errors import DataError
from lendsafe.eval.vocabulary import vocabulary
from lendsafe.files import disk_errors, write_atomically
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange import loading
from lendsafe.mlx_lora.runs import run as runs
from lendsafe.mlx_lora.runs.parallel import Parallel
from lendsafe.pipeline import planning
from lendsafe.pipeline.narrate import VOCABULARY


def train(
    model: str,
    data: Path,
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> runs.Result:
    """Fine-tune ``model`` on ``data``; data and memory are checked before the model is loaded.

    Args:
        model: Model name (:func:`lendsafe.mlx_lora.exchange.loading.resolve`).
        data: File or folder (:func:`lendsafe.corpus.load.load`).
        config: Settings.
        out: Run folder.
        resume: Continue the run in ``out``.
        force: Resume although something has changed.
        quiet: Show no progress.
    """
    train_rows, valid_rows = corpus.train_and_valid(data, seed=config.seed)
    if len(train_rows) < config.batch_size:
        raise DataError(f"{data}: {len(train_rows)} training examples; --batch-size is {config.batch_size}.")
    dataset = dataset_of(train_rows, valid_rows, data)
    config, limits = planning.settled(model, config, [row.messages for row in train_rows])
    with backend.limited(limits):
        base = loading.load(model, precision=config.precision, quantize=config.quantize)
        result = runs.fine_tune(base, dataset, config, out, resume=resume, force=force, quiet=quiet)
    taught = vocabulary((row.reply for row in train_rows), [row.reply for row in valid_rows])
    if taught and Parallel().leads:
        with disk_errors(out):
            write_atomically(out / VOCABULARY, taught.lines())
    return result


def dataset_of(train_rows: Sequence[Example], valid_rows: Sequence[Example], data: Path) -> runs.Dataset:
    """The conversations of the examples in a file or folder."""
    return runs.Dataset(
        train=[row.messages for row in train_rows],
        valid=[row.messages for row in valid_rows],
        train_names=[row.id for row in train_rows],
        valid_names=[row.id for row in valid_rows],
        source=str(data.resolve()),
    )
