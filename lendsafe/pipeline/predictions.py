"""Predictions that someone else made: read from a file and matched with the held-out rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lendsafe.corpus import load as corpus
from lendsafe.corpus.load import Example
from lendsafe.corpus.reading import BadFileError, Problem, Record, read
from lendsafe.errors import DataError
from lendsafe.fields import did_you_mean

SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv")
TEXT, COLUMNS = "prediction", ("id", "prediction")
_SHOWN = 3  # identifiers named in a message


@dataclass(frozen=True)
class Predictions:
    """Texts of a file.

    Attributes:
        path: The file.
        texts: One a row of the file.
        ids: Their rows' identifiers; None if the file names none.
        rows: The rows themselves, if the file is a data file whose replies are the predictions.
    """

    path: Path
    texts: Sequence[str]
    ids: Sequence[str] | None
    rows: Sequence[Example] | None


def load(path: Path) -> Predictions:
    """Read predictions: records of ``id`` and ``prediction``, or a data file whose replies they are.

    Raises:
        BadFileError: Naming every problem, such as an unknown column or an identifier that occurs twice.
        DataError: If there is no such file, or nothing in it.
    """
    records, problems = read(path)
    if not any(TEXT in record.values for record in records):
        if problems:
            raise BadFileError(problems)
        rows = corpus.load(path)
        if not rows:
            raise DataError(f"{path}: no predictions. An empty set has no score.")
        ids = [row.id for row in rows] if all("id" in record.values for record in records) else None
        return Predictions(path, [row.reply for row in rows], ids, rows)
    problems += [problem for record in records for problem in _problems(record)]
    problems += _repeated(records)
    if problems:
        raise BadFileError(problems)
    named = [record.values.get("id") for record in records]
    if any(named) and not all(named):
        raise DataError(f"{path}: some predictions have an 'id' and some have none; give all of them one.")
    return Predictions(
        path,
        [record.values[TEXT] for record in records],
        [str(one) for one in named] if all(named) else None,
        None,
    )


def matched(predictions: Predictions, rows: Sequence[Example]) -> list[str]:
    """The prediction of each row, in the order of the rows.

    Raises:
        DataError: If a row has no prediction or a prediction has no row.
    """
    if predictions.ids is None:
        if len(predictions.texts) != len(rows):
            raise DataError(
                f"{predictions.path}: {len(predictions.texts)} predictions for {len(rows)} rows; each row needs one."
                " Give both an 'id' to match them by it."
            )
        return list(predictions.texts)
    texts = dict(zip(predictions.ids, predictions.texts, strict=True))
    wanted = [row.id for row in rows]
    missing, further = [one for one in wanted if one not in texts], sorted(set(texts) - set(wanted))
    if missing or further:
        parts = [
            f"{len(ids)} {what} ({', '.join(ids[:_SHOWN])}{', ...' if len(ids) > _SHOWN else ''})"
            for ids, what in ((missing, "rows without a prediction"), (further, "predictions without a row"))
            if ids
        ]
        raise DataError(f"{predictions.path}: {'; '.join(parts)}.")
    return [texts[one] for one in wanted]


def _problems(record: Record) -> list[Problem]:
    values = record.values
    found = [
        record.problem(
            key, f"is an unknown column.{did_you_mean(str(key), list(COLUMNS))} Known: id, prediction."
        )
        for key in values
        if key not in COLUMNS
    ]
    if TEXT not in values:
        found.append(record.problem(TEXT, "is missing."))
    elif not isinstance(values[TEXT], str):
        found.append(record.problem(TEXT, f"is {values[TEXT]!r}; expected text."))
    if not isinstance(values.get("id", ""), str | int):
        found.append(record.problem("id", f"is {values['id']!r}; expected text."))
    return found


def _repeated(records: Sequence[Record]) -> list[Problem]:
    seen: dict[str, int] = {}
    found = []
    for record in records:
        name = record.values.get("id")
        if isinstance(name, str | int) and (line := seen.setdefault(str(name), record.line)) != record.line:
            found.append(record.problem("id", f"is {name!r}, as on line {line}; identifiers must differ."))
    return found
