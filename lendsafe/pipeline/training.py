"""Data in, run out: everything about the data is checked before a model is loaded."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lendsafe import parts
from lendsafe.corpus import approved
from lendsafe.corpus.load import Example
from lendsafe.errors import DataError
from lendsafe.eval.truth.examine import examine
from lendsafe.eval.truth.language import Language
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange import loading
from lendsafe.mlx_lora.runs import run as runs
from lendsafe.pipeline import planning
from lendsafe.pipeline.inputs import read_rows, read_template
from lendsafe.pipeline.narrate import LANGUAGE
from lendsafe.records import Style


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
    train_rows, valid_rows, notes = read_rows(data, config)
    if len(train_rows) < config.batch_size:
        raise DataError(f"{data}: {len(train_rows)} training examples; --batch-size is {config.batch_size}.")
    dataset = replace(dataset_of(train_rows, valid_rows, data), notes=notes)
    if (language := approved_language(train_rows)) is not None:
        dataset = replace(dataset, beside={LANGUAGE: language.lines()}, language=language.digest)
    config, limits = planning.settled(model, config, [row.messages for row in train_rows], template)
    with backend.limited(limits):
        base = loading.load(
            model,
            precision=config.precision,
            quantize=config.quantize,
            revision=config.revision,
            template=template,
        )
        return runs.fine_tune(
            base, dataset, config, out, adapter_folder=adapter, resume=resume, force=force, quiet=quiet
        )


def approved_language(rows: Sequence[Example]) -> Language | None:
    """What may be sent of a run's texts: its product's words, and what its training replies say.

    A reply counts only if it is its parts, no check finds anything in it and nothing in it is contradicted; so
    a data set that is not true of its applicants certifies nothing.

    Returns:
        None where no row says what it explains: nothing is then known to be approved.
    """
    products = {row.assessment.applicant.product for row in rows if row.assessment}
    if len(products) != 1:
        return None
    (product,) = products
    own = approved.language(product)
    more = [pair for row in rows for pair in _of_reply(row, own)]
    if not more:
        return own
    return Language.from_wordings(
        [*approved.wordings(product), *more], approved.purposes(product), approved.items(product)
    )


def _of_reply(row: Example, own: Language) -> Iterator[tuple[parts.Part, str]]:
    """Sentences of a training reply that nothing approved says yet, if the reply passes."""
    if row.assessment is None:
        return
    style = row.style or Style()
    found = examine(row.reply, row.assessment, style, own)
    if found.findings or any(one.kind == "contradicted" for one in found.verdicts):
        return
    opened = parts.of(row.assessment, style)
    for one in found.verdicts:
        if one.kind == "unsupported":
            yield opened[one.part], found.narrative[one.start : one.end]


def dataset_of(train_rows: Sequence[Example], valid_rows: Sequence[Example], data: Path) -> runs.Dataset:
    """The conversations of the examples in a file or folder."""
    return runs.Dataset(
        train=[row.messages for row in train_rows],
        valid=[row.messages for row in valid_rows],
        train_names=[row.id for row in train_rows],
        valid_names=[row.id for row in valid_rows],
        source=str(data.resolve()),
    )
