"""A data set of training pairs: applicants with their reasons, and narratives that say them.

Applicants are drawn from the documented process in quantity, and those that are kept fill exact
counts of decisions, score bands, amount bands and narrative types. Decisions stay those of the
process: one cut on the true probability of default, and the policy's rules.
"""

import csv
import io
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, get_args

import numpy as np

from lendsafe import parts, prompts, slots
from lendsafe.corpus import card, process
from lendsafe.corpus.config import SynthConfig as SynthConfig
from lendsafe.corpus.grammar import narrative_parts
from lendsafe.corpus.load import PRODUCT, Example, Split
from lendsafe.corpus.quotas import fit_table, largest_remainder, spread
from lendsafe.corpus.wordings import Wording
from lendsafe.errors import ConfigError
from lendsafe.files import disk_errors, refuse_existing, write_atomically
from lendsafe.product import Product, consumer
from lendsafe.records import Assessment, Detail, Register, Style, narrative_type, to_json

APPROVAL_TYPES = {"standard": 614, "detailed": 300}  # by the detail that is asked for
VALID_SHARE = 0.1
UNSEEN_SHARE = 0.04  # further validation rows in wordings that no training row uses

Done = Callable[[int, int], None]

_FIRST_DRAW, _MOST_DRAWS = 4, 6  # applicants drawn for each that is wanted; then twice as many, so often
_NARRATIVE_STREAM, _STYLE_STREAM, _ORDER_STREAM = 11, 12, 13
_CSV_COLUMNS = (
    "instruction", "input", "output", "decision", "product", "id", "type", "split", "seed", "template", "text",
    "messages", "assessment", "style",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One generated example.

    Attributes:
        example: The conversation and what it is about.
        text: The narrative with its facts filled in.
        seed: What the narrative's chance started from, beside the seed of the set.
        template: Table of wordings it is drawn from.
    """

    example: Example
    text: str
    seed: int
    template: Wording


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A generated data set.

    Attributes:
        rows: Training and validation examples.
        unseen: Further validation examples in wordings that no training row uses.
        product: Whose fields and reasons they are about.
        population: The applicants of ``rows`` of the consumer process, in their order; None of a lender's own.
    """

    rows: list[Row]
    unseen: list[Row]
    product: Product
    population: process.Population | None = None

    @property
    def coverage(self) -> dict[tuple[str, str, str], int]:
        """Times that each reason is named on each side at each strength."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for row in self.rows:
            assert row.example.assessment is not None
            for one in parts.of(row.example.assessment, row.example.style or Style()):
                if one.kind == "factor":
                    counts[one.code, "in favor" if one.side == "favorable" else "against", one.strength] += 1
        return dict(counts)


def synthesize(config: SynthConfig, done: Done | None = None) -> Synthetic:
    """Draw applicants until every count is filled, then word their assessments.

    Args:
        config: How many, and from which seed.
        done: Called with narratives written and narratives in all.

    Raises:
        ConfigError: If the process cannot fill the counts.
    """
    population, assessments, more = _applicants(config)
    total = len(assessments) + len(more)
    rows = worded(
        assessments, _splits(assessments, config), config, "train", done=lambda n: done and done(n, total)
    )
    unseen = worded(
        more, ["valid"] * len(more), config, "held_out", len(rows), done=lambda n: done and done(n, total)
    )
    return Synthetic(rows, unseen, consumer(), population)


def write(
    config: SynthConfig, out: Path, done: Done | None = None, make: Callable[[], Synthetic] | None = None
) -> Synthetic:
    """Generate a data set and write it as a folder, all of it or nothing.

    Args:
        config: How many, and from which seed.
        out: New or empty folder.
        make: What makes the data; the consumer process by default.
        done: Called with narratives written and narratives in all.

    Raises:
        ExistsError: If ``out`` is there and not an empty folder.
        DiskError: If writing fails.
    """
    refuse_existing(out)
    stage = out.with_name(f".{out.name}.tmp-{os.getpid()}")
    with disk_errors(out):
        stage.mkdir(parents=True)
        try:
            data = make() if make else synthesize(config, done)
            _write_files(stage, data, config)
            if out.exists():
                out.rmdir()
            stage.replace(out)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
    return data


# ---------------------------------------------------------------- applicants


def _applicants(config: SynthConfig) -> tuple[process.Population, list[Assessment], list[Assessment]]:
    """Applicants that fill the counts, their assessments, and those of further applicants."""
    extra = max(1, round(config.n * UNSEEN_SHARE))
    margins = [
        largest_remainder(config.n, list(one))
        for one in (_decisions().values(), *(b.counts for b in process.bands()))
    ]
    size = config.n * _FIRST_DRAW + 400
    for _ in range(_MOST_DRAWS):
        pool = process.draw(size, config.seed)
        cells, judged = _by_cell(pool)
        observed = np.zeros([len(one) for one in margins])
        for cell, members in cells.items():
            observed[cell] = len(members)
        wanted = {cell: int(count) for cell, count in np.ndenumerate(fit_table(margins, observed)) if count}
        further = spread(extra, wanted)
        if all(len(cells[cell]) >= count + further[cell] for cell, count in wanted.items()):
            break
        size *= 2
    else:
        raise ConfigError(
            f"No {config.n} applicants with the counts asked for among {size // 2}. Try another --n."
        )
    order = np.random.default_rng([config.seed, _ORDER_STREAM])
    kept = order.permutation([row for cell, count in wanted.items() for row in cells[cell][:count]]).tolist()
    more = [row for cell, count in wanted.items() for row in cells[cell][count : count + further[cell]]]
    return pool.take(kept), [judged[row] for row in kept], [judged[row] for row in more]


def _by_cell(pool: process.Population) -> tuple[dict[tuple[int, ...], list[int]], list[Assessment]]:
    """Rows of the pool by decision and by band of each field; others are in no cell."""
    judged = process.assess(pool)
    cells: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row, one in enumerate(judged):
        if (cell := _cell(one)) is not None:
            cells[cell].append(row)
    return cells, judged


def _cell(one: Assessment) -> tuple[int, ...] | None:
    found = [band.band(one.applicant) for band in process.bands()]
    if one.decision not in _decisions() or None in found:
        return None
    return (list(_decisions()).index(one.decision), *(at for at in found if at is not None))


def _decisions() -> dict[str, int]:
    counts: dict[str, int] = process.parameters()["counts"]["decisions"]
    return counts


# ---------------------------------------------------------------- examples


def _splits(assessments: Sequence[Assessment], config: SynthConfig) -> list[Split]:
    """One split for each applicant, in proportion within decision and bands."""
    strata: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, one in enumerate(assessments):
        strata[_cell(one) or ()].append(index)
    counts = spread(
        round(config.n * VALID_SHARE), {cell: len(members) for cell, members in sorted(strata.items())}
    )
    valid = {index for cell, count in counts.items() for index in strata[cell][:count]}
    return ["valid" if index in valid else "train" for index in range(len(assessments))]


def styles(assessments: Sequence[Assessment], rng: np.random.Generator) -> list[Style]:
    """A style for each: registers in equal parts, details in the counts of the narrative types."""
    registers = cycle(get_args(Register))
    picked: list[Style | None] = [None] * len(assessments)
    for decision in ("approved", "declined"):
        rows = [index for index, one in enumerate(assessments) if one.decision == decision]
        shares = APPROVAL_TYPES if decision == "approved" else dict.fromkeys(get_args(Detail), 1)
        counts = largest_remainder(len(rows), list(shares.values()))
        details = [detail for detail, count in zip(shares, counts, strict=True) for _ in range(count)]
        for row, detail in zip(rng.permutation(rows).tolist(), details, strict=True):
            picked[row] = Style(register=next(registers), detail=detail)
    return [style for style in picked if style is not None]


def worded(
    assessments: Sequence[Assessment],
    splits: Sequence[Split],
    config: SynthConfig,
    wording: Wording,
    first: int = 0,
    *,
    done: Callable[[int], object],
) -> list[Row]:
    """A training pair for each assessment, its reply in parts.

    Args:
        assessments: Approvals and declines.
        splits: Split of each.
        config: Seed.
        wording: Which wordings may be drawn.
        first: Number of the first row, which its chance starts from.
        done: Called with rows written.
    """
    chosen = styles(assessments, np.random.default_rng([config.seed, _STYLE_STREAM, first]))
    rows = []
    for number, (assessment, style, part) in enumerate(
        zip(map(prompts.shown, assessments), chosen, splits, strict=True), start=first
    ):
        rng = np.random.default_rng([config.seed, _NARRATIVE_STREAM, number])
        texts = narrative_parts(assessment, style, rng, wording=wording)
        reply = parts.join(texts, parts.of(assessment, style))
        example = Example(
            id=assessment.applicant.applicant_id,
            messages=tuple(prompts.conversation(assessment, style, reply)),
            assessment=assessment,
            style=style,
            split=part,
            type=narrative_type(assessment, style),
            decision=assessment.decision,
        )
        text = slots.render(parts.narrative(texts), slots.facts(assessment))
        rows.append(Row(example, text, number, wording))
        done(number + 1)
    return rows


# ---------------------------------------------------------------- files


def _write_files(folder: Path, data: Synthetic, config: SynthConfig) -> None:
    tables = [table_of(row) for row in data.rows]
    lines = [json.dumps(one, ensure_ascii=False) for one in tables]
    parts = {
        part: [line for line, row in zip(lines, data.rows, strict=True) if row.example.split == part]
        for part in get_args(Split)
    }
    files: dict[str, Callable[[], str]] = {
        "training_examples.json": lambda: "[\n" + ",\n".join(lines) + "\n]\n",
        "training_examples.jsonl": lambda: _joined(lines),
        "training_examples.csv": lambda: _as_csv(tables),
        "train.jsonl": lambda: _joined(parts["train"]),
        "valid.jsonl": lambda: _joined(parts["valid"]),
        "valid_unseen_wordings.jsonl": lambda: _joined(
            [json.dumps(table_of(row), ensure_ascii=False) for row in data.unseen]
        ),
        PRODUCT: lambda: data.product.text,
        "README.md": lambda: card.data_card(data, config),
    }
    if data.population is not None:
        people = data.population
        files["applications.csv"] = lambda: people.applications().to_csv(index=False, lineterminator="\n")
        files["protected.csv"] = lambda: people.protected.to_csv(index=False, lineterminator="\n")
    if config.history and data.population is not None:
        past = process.history(config.history, config.seed)
        files["history.csv"] = lambda: past.applications().to_csv(index=False, lineterminator="\n")
    for name, content in files.items():
        write_atomically(folder / name, content())


def table_of(row: Row) -> dict[str, Any]:
    """A row as the files hold it: the plain shape, the messages, and where it comes from."""
    example = row.example
    system, user, reply = example.messages
    return {
        "id": example.id,
        "instruction": system.content,
        "input": user.content,
        "output": reply.content,
        "decision": example.decision,
        "product": example.assessment.applicant.product.name if example.assessment else "",
        "messages": [to_json(message) for message in example.messages],
        "assessment": to_json(example.assessment),
        "style": to_json(example.style),
        "type": example.type,
        "split": example.split,
        "seed": row.seed,
        "template": row.template,
        "text": row.text,
    }


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _as_csv(tables: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for table in tables:
        nested = {
            name: json.dumps(table[name], ensure_ascii=False) for name in ("messages", "assessment", "style")
        }
        writer.writerow(table | nested)
    return buffer.getvalue()
