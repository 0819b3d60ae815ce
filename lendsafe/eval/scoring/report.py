"""``report.html``: one page that needs nothing else, with every value escaped."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, NamedTuple

from lendsafe.eval.scoring.metrics import Estimate
from lendsafe.records import Finding

# measure -> what a reader calls it, and whether it is a share; truth first, overlap last
MEASURES: dict[str, tuple[str, bool]] = {
    "true_rate": ("True of its facts (G1 to G4)", True),
    "check_pass_rate_first_try": ("Passes every check, first text", True),
    "supported_rate_first_try": ("Every sentence supported, first text", True),
    "sentences_supported": ("Sentences that are supported", True),
    "sentences_contradicted": ("Sentences that the facts contradict", True),
    "sentences_unsupported": ("Sentences that nobody approved", True),
    "check_pass_rate_final": ("Passes every check, text that would be sent", True),
    "sent_by_model_rate": ("Sent in the model's own words", True),
    "fallback_rate": ("Replaced by the template", True),
    "held_rate": ("Held for a person", True),
    "reason_precision": ("Reason precision: named factors that are right", True),
    "reason_recall": ("Reason recall: factors that are named", True),
    "numeric_accuracy": ("Figures and slots that are right", True),
    "prohibited_term_rate": ("Names a prohibited basis", True),
    "flesch_kincaid_grade": ("Flesch-Kincaid grade", False),
    "words": ("Words", False),
    "distinct_1": ("Distinct words (distinct-1)", False),
    "distinct_2": ("Distinct word pairs (distinct-2)", False),
    "rouge1": ("ROUGE-1", False),
    "rouge2": ("ROUGE-2", False),
    "rougeL": ("ROUGE-L", False),
    "rougeLsum": ("ROUGE-Lsum", False),
    "bert_score_precision": ("BERTScore precision", False),
    "bert_score_recall": ("BERTScore recall", False),
    "bert_score_f1": ("BERTScore F1", False),
}
OVERLAP = frozenset(name for name in MEASURES if name.startswith(("rouge", "bert")))


class Piece(NamedTuple):
    """A stretch of a text, with the findings that mark it."""

    text: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: heads, and rows of a label and cells.

    Attributes:
        heads: Heads of the columns, the label's first.
        rows: Label and cells of each row; a row of the label alone is a heading.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Case:
    """A text that is shown with what is wrong with it.

    Attributes:
        name: Its row.
        about: Decision, type and score, in words.
        pieces: The text, marked.
        findings: What is wrong.
        reference: Its reference, if there is one.
    """

    name: str
    about: str
    pieces: Sequence[Piece]
    findings: Sequence[Finding]
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """Loss over steps, in the units of a picture 640 wide and 240 high.

    Attributes:
        train: Points of the training loss, as SVG wants them.
        valid: Points of the validation loss, each ``(x, y)``.
        x_ticks: Position and label of the marks on the horizontal axis.
        y_ticks: The same on the vertical axis.
    """

    train: str
    valid: Sequence[tuple[float, float]]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that the report shows, in its order."""

    title: str
    notes: Sequence[str]
    measures: Table
    differences: Table | None = None
    leakage: Sequence[str] = ()
    checks: Table | None = None
    strata: Table | None = None
    commonest: Table | None = None
    worst: Sequence[Case] = ()
    untrue: Sequence[Case] = ()
    side_by_side: Sequence[tuple[str, str, Sequence[tuple[str, Sequence[Piece]]]]] = ()
    curve: Curve | None = None
    settings: Sequence[tuple[str, str]] = field(default=())


def render(page: Page) -> str:
    """The page as HTML."""
    html: str = _template().render(page=page)
    return html


def shown(one: Estimate, *, share: bool) -> str:
    """A value with its interval, as a reader sees it: ``32% [25, 40]``, ``8.31 [8.20, 8.43]``."""
    if share:
        return f"{_percent(one.value)}% [{_percent(one.low)}, {_percent(one.high)}]"
    digits = 1 if abs(one.value) >= 10 else 3 if abs(one.value) < 2 else 2
    return f"{one.value:.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}".removesuffix(".0")


def pieces(text: str, findings: Sequence[Finding]) -> list[Piece]:
    """Cut a text where marks begin and end; a piece carries every finding whose span covers it."""
    spans = [one for one in findings if 0 <= one.start < one.end <= len(text)]
    cuts = sorted({0, len(text), *(one.start for one in spans), *(one.end for one in spans)})
    return [
        Piece(text[a:b], tuple(one for one in spans if one.start <= a and b <= one.end))
        for a, b in pairwise(cuts)
    ]


WIDTH, HEIGHT, LEFT, BOTTOM = 640.0, 240.0, 44.0, 26.0


def curve(train: Sequence[tuple[int, float]], valid: Sequence[tuple[int, float]]) -> Curve | None:
    """A loss curve from steps and losses (nats per token); None without points."""
    if not train:
        return None
    last = max(step for step, _ in [*train, *valid])
    top = 1.05 * max(loss for _, loss in [*train, *valid]) or 1.0

    def x(step: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 10) * step / max(last, 1), 1)

    def y(loss: float) -> float:
        return round((HEIGHT - BOTTOM) - (HEIGHT - BOTTOM - 10) * loss / top, 1)

    return Curve(
        " ".join(f"{x(step)},{y(loss)}" for step, loss in train),
        [(x(step), y(loss)) for step, loss in valid],
        [(x(last * part / 5), f"{last * part / 5:.0f}") for part in range(6)],
        [(y(top * part / 4), f"{top * part / 4:.2f}") for part in range(5)],
    )


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string((files("lendsafe.eval.scoring") / "report.html.j2").read_text("utf-8"))
