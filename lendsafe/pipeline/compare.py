"""Runs, models and files of predictions, side by side on the same held-out rows."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from lendsafe.corpus import load as corpus
from lendsafe.corpus.load import Example
from lendsafe.errors import ConfigError
from lendsafe.files import refuse_existing, sha256
from lendsafe.mlx_lora.runs import record
from lendsafe.pipeline import report
from lendsafe.pipeline.evaluate import BASE, Done, Evaluation, Source, evaluate_sources, split
from lendsafe.pipeline.narrate import narrator
from lendsafe.pipeline.predictions import SUFFIXES, matched
from lendsafe.pipeline.predictions import load as load_predictions
from lendsafe.pipeline.settings import EvalConfig, GenerateConfig

FEW_SHOT = "base, three examples"
SHOTS = 3


def compare(
    names: Sequence[str],
    data: Path | None,
    config: EvalConfig,
    generation: GenerateConfig,
    *,
    baselines: bool = True,
    allow_train_rows: bool = False,
    done: Done | None = None,
) -> Evaluation:
    """Evaluate runs, models and files of predictions side by side on the same rows.

    Args:
        names: Run folders, models, or files of predictions; the first is compared with the others.
        data: Data with held-out rows; a run's own by default. A file of predictions that is a data file itself
            needs none: its replies are checked against their own prompts.
        config: How to score.
        generation: How to generate.
        baselines: Whether to add the base, alone and with three examples, the template and a second draw of
            the grammar.
        allow_train_rows: Whether rows that a run was trained on may be scored.
        done: Called with texts written and texts in all.

    Raises:
        ConfigError: If it is not clear which rows to write about.
        DataError: If no row is held out, a run was trained on some, or predictions do not match the rows.
    """
    folders = [Path(name) for name in names if (Path(name) / "run.json").exists()]
    data = data or (Path(record.read_settings(folders[0])[2]) if folders else None)
    train: list[Example] = []
    if data is None:
        rows = _own_rows(names)
    elif all(map(_is_predictions, names)):
        rows = _valid_or_all(data)
    else:
        for run in folders[1:]:
            split(data, run, allow_train_rows=allow_train_rows)
        train, rows = split(data, folders[0] if folders else None, allow_train_rows=allow_train_rows)
    rows = rows[: config.limit]
    sources = [_source(name, rows, generation, own=data is None) for name in names]
    if baselines and folders:
        sources += _bases(record.read_settings(folders[0])[1], generation, train)
    found = evaluate_sources(
        _distinct(sources),
        rows,
        config,
        train=train,
        baselines=baselines,
        referenced=data is not None,
        done=done,
    )
    return replace(found, settings=found.settings | {"sources": _provenance(names, data)})


def compare_into(out: Path | None, names: Sequence[str], *given: Any, **more: Any) -> dict[str, Any]:
    """:func:`compare`, written to a folder: ``eval`` in the run by default, if there is one run alone.

    Raises:
        ConfigError: If nothing is named to evaluate, or no folder for the result.
        ExistsError: If the folder holds something already.
    """
    if not names:
        raise ConfigError("Nothing to evaluate. Name a run, a model or a file of predictions.")
    run = next((Path(name) for name in names if (Path(name) / "run.json").exists()), None)
    if out is None and (run is None or len(names) > 1):
        raise ConfigError("Where to write the results? Name a folder with --out.")
    folder = out or Path(names[0]) / "eval"
    refuse_existing(folder)
    return report.write(folder, compare(names, *given, **more), run)


def _is_predictions(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES and not Path(name).is_dir()


def _own_rows(names: Sequence[str]) -> list[Example]:
    """Rows of the data file that is its own predictions."""
    if len(names) != 1 or not _is_predictions(names[0]):
        raise ConfigError(
            "Which rows to write about? Name --data: only a run, or one data file of predictions, brings its own."
        )
    found = load_predictions(Path(names[0]))
    if found.rows is None:
        raise ConfigError(f"{names[0]}: predictions alone; name the rows that they belong to with --data.")
    return list(found.rows)


def _valid_or_all(data: Path) -> list[Example]:
    """The rows that a file marks as held out; all of them if it marks none."""
    rows = corpus.load(data)
    return [row for row in rows if row.split == "valid"] or rows


def _source(name: str, rows: Sequence[Example], generation: GenerateConfig, *, own: bool) -> Source:
    path = Path(name)
    if _is_predictions(name):
        return Source(
            path.name, texts=[row.reply for row in rows] if own else matched(load_predictions(path), rows)
        )
    return Source(path.name or name, load=lambda: narrator(name, generation), corrected=True)


def _bases(name: str, generation: GenerateConfig, train: Sequence[Example]) -> list[Source]:
    """The base of a run as it was before, alone and with three examples."""
    load = cache(lambda: narrator(name, generation))
    found = [Source(BASE, load=load)]
    if len(train) >= SHOTS:
        found.append(Source(FEW_SHOT, load=load, shots=_shots(train)))
    return found


def _shots(train: Sequence[Example]) -> list[Example]:
    """Three training rows, of different decisions and types as far as there are such."""
    first: dict[tuple[str | None, str | None], Example] = {}
    for row in train:
        first.setdefault((row.decision, row.type), row)
    picked = list(first.values())[:SHOTS]
    return picked + [row for row in train if row not in picked][: SHOTS - len(picked)]


def _distinct(sources: Sequence[Source]) -> list[Source]:
    """The sources under names that differ: a second ``run`` becomes ``run (2)``."""
    seen: dict[str, int] = {}
    found = []
    for one in sources:
        seen[one.name] = seen.get(one.name, 0) + 1
        found.append(replace(one, name=f"{one.name} ({seen[one.name]})") if seen[one.name] > 1 else one)
    return found


def _provenance(names: Sequence[str], data: Path | None) -> dict[str, Any]:
    """Hashes of what was evaluated: data, predictions, adapters."""
    files = []
    if data is not None:
        files = [data] if data.is_file() else sorted(data.glob("*.jsonl"))
    for name in map(Path, names):
        files += [one for one in (name, name / "adapter_model.safetensors") if one.is_file()]
    return {str(one): sha256(one) for one in files}
