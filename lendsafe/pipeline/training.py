"""Data in, run out: everything about the data is checked before a model is loaded."""

from pathlib import Path

from lendsafe.corpus import load as corpus
from lendsafe.errors import ConfigError, DataError
from lendsafe.eval.vocabulary import vocabulary
from lendsafe.files import disk_errors, write_atomically
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange import loading
from lendsafe.mlx_lora.exchange.adapter import TEMPLATE
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
    adapter: Path | None = None,
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
        adapter: Adapter folder to go on from.
        resume: Continue the run in ``out``.
        force: Resume although something has changed.
        quiet: Show no progress.
    """
    template = read_template(config, out if resume else None)
    train_rows, valid_rows, notes = corpus.training_data(
        data,
        seed=config.seed,
        fraction=config.valid_share,
        most_valid=config.max_valid,
        dedupe=config.dedupe,
    )
    if len(train_rows) < config.batch_size:
        raise DataError(f"{data}: {len(train_rows)} training examples; --batch-size is {config.batch_size}.")
    dataset = runs.Dataset(
        train=[row.messages for row in train_rows],
        valid=[row.messages for row in valid_rows],
        train_names=[row.id for row in train_rows],
        valid_names=[row.id for row in valid_rows],
        source=str(data.resolve()),
        notes=notes,
    )
    config = planning.settled(model, config, [row.messages for row in train_rows])
    base = loading.load(
        model,
        precision=config.precision,
        quantize=config.quantize,
        revision=config.revision,
        template=template,
    )
    result = runs.fine_tune(
        base, dataset, config, out, start=adapter, resume=resume, force=force, quiet=quiet
    )
    taught = vocabulary((row.reply for row in train_rows), [row.reply for row in valid_rows])
    if taught and Parallel().leads:
        with disk_errors(out):
            write_atomically(out / VOCABULARY, taught.lines())
    return result


def read_template(config: TrainConfig, run: Path | None = None) -> str | None:
    """The chat template that the settings name; a run to resume keeps its own.

    Raises:
        ConfigError: If the file cannot be read.
    """
    if config.chat_template is None or (run and (run / TEMPLATE).is_file()):
        return None
    path = Path(config.chat_template).expanduser()
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"--chat-template {path}: {getattr(problem, 'strerror', problem)}.") from problem
