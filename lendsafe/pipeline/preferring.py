"""A run that learns from its own replies: the checks say which of them are good."""

from dataclasses import replace
from pathlib import Path

from lendsafe.errors import DataError
from lendsafe.eval.truth.examine import examine
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.config import PreferenceConfig
from lendsafe.mlx_lora.exchange import loading
from lendsafe.mlx_lora.runs import preference
from lendsafe.mlx_lora.runs import run as runs
from lendsafe.pipeline import planning
from lendsafe.pipeline.inputs import read_rows, read_template
from lendsafe.pipeline.narrate import LANGUAGE, form, read_language
from lendsafe.pipeline.training import dataset_of
from lendsafe.records import Style


def prefer(
    start: Path,
    model: str,
    data: Path,
    config: PreferenceConfig,
    out: Path,
    *,
    resume: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> runs.Result:
    """Go on from a run with what its own replies to its training prompts teach.

    Args:
        start: Run folder.
        model: The base that it was trained on.
        data: File or folder (:func:`lendsafe.corpus.load.load`); every training row has its assessment.
        config: Settings.
        out: Run folder of the new run.
        resume: Continue the run in ``out``.
        force: Resume although something has changed.
        quiet: Show no progress.

    Raises:
        DataError: If a training row has no assessment to check replies against.
    """
    template = read_template(config, start)
    train_rows, valid_rows, notes = read_rows(data, config)
    without = [row.id for row in train_rows if row.assessment is None]
    if without:
        raise DataError(
            f"{data}: {len(without)} training rows have no assessment (first: {without[0]}), so that replies to"
            " them cannot be checked."
        )
    known = [(row.assessment, row.style or Style()) for row in train_rows if row.assessment]
    approved = read_language(start)

    def accept(number: int, reply: str) -> bool:
        """Whether the reply could be sent as it is."""
        return examine(reply, *known[number], approved).sent

    dataset = replace(dataset_of(train_rows, valid_rows, data), notes=notes)
    if approved is not None:  # nothing is accepted that says more
        dataset = replace(dataset, beside={LANGUAGE: approved.lines()}, language=approved.digest)
    lesson = preference.Lesson(start=start, data=dataset, accept=accept, forms=[form(*one) for one in known])
    fitted, limits = planning.settled(model, config, dataset.train, template)
    config = replace(config, token_budget=fitted.token_budget, recompute=fitted.recompute)
    with backend.limited(limits):
        base = loading.load(model, precision=config.precision, quantize=config.quantize, template=template)
        return preference.prefer(base, lesson, config, out, resume=resume, force=force, quiet=quiet)
