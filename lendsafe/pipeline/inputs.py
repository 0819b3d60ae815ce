"""What a run reads beside its model: rows, split as its settings say, and the chat template that they name.

Training, preferring, planning and evaluation all ask here, so that a row is on the same side for each of them.
"""

from pathlib import Path

from lendsafe.corpus import load as corpus
from lendsafe.corpus.load import Example
from lendsafe.errors import ConfigError
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange.adapter import TEMPLATE


def read_rows(data: Path, config: TrainConfig) -> tuple[list[Example], list[Example], list[str]]:
    """Training and validation rows of a file or folder, and what is to be said about them, a line each.

    Args:
        data: File or folder (:func:`lendsafe.corpus.load.load`).
        config: Settings of the run that trains on the former.
    """
    return corpus.training_data(
        data,
        seed=config.seed,
        fraction=config.valid_share,
        most_valid=config.max_valid,
        dedupe=config.dedupe,
    )


def read_template(config: TrainConfig, run: Path | None = None) -> str | None:
    """The chat template that a run has in place of its model's own; None for the model's.

    Args:
        config: Settings, which may name a file.
        run: Run folder to go on in; the template that it keeps comes before the file.

    Raises:
        ConfigError: If the file cannot be read.
    """
    kept = run / TEMPLATE if run else None
    if kept and kept.is_file():
        return kept.read_text("utf-8")
    if config.chat_template is None:
        return None
    path = Path(config.chat_template).expanduser()
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"--chat-template {path}: {getattr(problem, 'strerror', problem)}.") from problem
