"""Correct narratives that no generator wrote, ``handwritten.toml``, as records."""

from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from lendsafe.errors import DataError
from lendsafe.fields import build, read_toml
from lendsafe.product import consumer
from lendsafe.records import Assessment, Style, assessment_from_json

CUTOFF = 0.18
SIZES = {"strong": 1.2, "moderate": 0.7, "slight": 0.3}  # push on the log-odds that each word stands for
STEP = 0.02  # keeps equal words in their order

Form = Literal["slots", "plain"]


class Handwritten(NamedTuple):
    """A correct text and what it is true of."""

    assessment: Assessment
    style: Style
    text: str
    form: Form


@cache
def handwritten() -> tuple[Handwritten, ...]:
    """Every text, in the order of the file.

    Raises:
        DataError: Naming the text and what is wrong with it.
    """
    path = Path(__file__).with_name("handwritten.toml")
    return tuple(_read(entry, number) for number, entry in enumerate(read_toml(path)["texts"], start=1))


def _read(entry: dict[str, Any], number: int) -> Handwritten:
    where = f"handwritten text {number}"
    if entry["form"] not in get_args(Form):
        raise DataError(f"{where}: form is {entry['form']!r}; expected 'slots' or 'plain'")
    approved = entry["decision"] == "approved"
    table = {
        "applicant": {"applicant_id": f"H{number:03}", **entry["applicant"]},
        "decision": entry["decision"],
        "default_probability": CUTOFF / 2 if approved else CUTOFF * 2,
        "cutoff": CUTOFF,
        "reasons": _factors(entry.get("reasons", []), 1, where),
        "strengths": _factors(entry.get("strengths", []), -1, where),
    }
    style = build(Style, {"register": entry["register"], "detail": entry["detail"]}, where, DataError)
    assessment = assessment_from_json(table, where)
    if not (assessment.strengths if approved else assessment.reasons):
        raise DataError(f"{where}: no factor")
    return Handwritten(assessment, style, " ".join(entry["text"].split()), entry["form"])


def _factors(pairs: list[list[str]], sign: int, where: str) -> list[dict[str, Any]]:
    """Factors whose size falls along the list, as their order says."""
    unknown = [code for code, _ in pairs if code not in consumer().reasons]
    if unknown:
        raise DataError(f"{where}: unknown code {unknown[0]!r}")
    sizes = [SIZES[word] - STEP * place for place, (_, word) in enumerate(pairs)]
    if sizes != sorted(sizes, reverse=True):
        raise DataError(f"{where}: strengths rise along {[code for code, _ in pairs]}")
    return [
        {"code": code, "contribution": round(sign * size, 4), "strength": word}
        for size, (code, word) in zip(sizes, pairs, strict=True)
    ]
