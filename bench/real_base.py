"""What a base that was pretrained on real text learns of a product: trained, then held-out narratives examined.

One reason of the product may be left out of training altogether; its narratives are a group of their own.
"""

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.harness import table
from lendsafe import parts, prompts, slots
from lendsafe.corpus import load as corpus
from lendsafe.corpus.load import PRODUCT, Example
from lendsafe.errors import DataError
from lendsafe.eval.scoring import metrics, overlap
from lendsafe.eval.truth.examine import Examination, examine
from lendsafe.files import write_atomically, write_json
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange.loading import load_tokenizer_of, resolve
from lendsafe.mlx_lora.runs.watch import read_metrics
from lendsafe.mlx_lora.tokens import encode
from lendsafe.pipeline import narrate, training
from lendsafe.pipeline.narrate import Narrator, Request
from lendsafe.pipeline.settings import GenerateConfig
from lendsafe.records import Style

Say = Callable[[str], None]
HELD_OUT, UNUSED = "held out", "reason never trained"
CAUSES, SAMPLES = 10, 3  # shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is trained and measured.

    Attributes:
        base: Model that is fine-tuned.
        data: Folder that ``lendsafe data synth`` wrote.
        out: Folder of the data without the reason, the run and the report; a finished run in it is used again.
        config: Settings of the training.
        unused: Code of a reason that no training pair may name; None leaves none out.
        rows: Narratives of each group, at most.
        longest: Longest training row, in tokens of the base; None keeps all.
        register: Only rows of this register; None keeps all.
        retries: Further tries before a narrative falls back to the product's words.
    """

    base: str
    data: Path
    out: Path
    config: TrainConfig
    unused: str | None = None
    rows: int = 20
    longest: int | None = None
    register: str | None = None
    retries: int = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """One group of held-out narratives.

    Attributes:
        group: ``held out``, or ``reason never trained``.
        narratives: How many.
        first_try: Share that may be sent as first written, with its 95 % interval.
        fallback: Share that the product's words took the place of, after every try.
        sentences: Of the first tries, by verdict; a reply that is not its parts has none.
        rouge_l: Mean ROUGE-L F1 of the first tries against the references.
        causes: What kept first tries from being sent, with counts, the most frequent first.
        samples: First tries, whether each may be sent, and the reference.
    """

    group: str
    narratives: int
    first_try: metrics.Estimate
    fallback: float
    sentences: dict[str, int]
    rouge_l: float
    causes: list[tuple[str, int]]
    samples: list[dict[str, Any]]


def run(case: Case, *, say: Say) -> list[Measured]:
    """Train, unless that is done, then write and examine each group; the report is ``real_base.json`` in ``out``.

    Raises:
        DataError: If nothing is left to train on or to hold out, or no row names the reason.
    """
    groups, trained = part(case), case.out / "run"
    if not (trained / "adapter_config.json").exists():
        training.train(case.base, case.out / "data", case.config, trained)
    writer = narrate.narrator(str(trained), GenerateConfig(retries=case.retries))
    every = [row for rows in groups.values() for row in rows]
    begun = time.perf_counter()
    texts = iter(first_tries(every, writer))
    learned = _learned(trained) | {"seconds a narrative": (time.perf_counter() - begun) / len(every)}
    measured = [measure(name, rows, [next(texts) for _ in rows], writer) for name, rows in groups.items()]
    report = {
        "base": case.base,
        "unused": case.unused,
        "training": learned,
        "groups": list(map(asdict, measured)),
    }
    write_json(case.out / "real_base.json", report)
    say(in_words(case, learned, measured))
    return measured


def part(case: Case) -> dict[str, list[Example]]:
    """Write the rows to train and validate on into ``out/data``; the groups of held-out rows."""
    train, valid = (_rows(case, split) for split in ("train", "valid"))
    tokenizer = load_tokenizer_of(resolve(case.base))
    kept = [
        line
        for row, line in train
        if case.unused not in named(row)
        and (case.longest is None or len(encode(tokenizer, row.messages, sys.maxsize)) <= case.longest)
    ]
    held = [(row, line) for row, line in valid if case.unused not in named(row)][: case.rows]
    if not kept or not held:
        raise DataError(
            f"{case.data}: {len(kept)} rows to train on and {len(held)} held out; both are needed."
        )
    groups = {HELD_OUT: [row for row, _ in held]}
    if case.unused:
        # no such row is trained on, so those of the training file are held out as well
        groups[UNUSED] = [row for row, _ in (*valid, *train) if case.unused in named(row)][: case.rows]
        if not groups[UNUSED]:
            raise DataError(f"{case.data}: no row names the reason '{case.unused}'.")
    folder = case.out / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for split, lines in (("train", kept), ("valid", [line for _, line in held])):
        write_atomically(folder / f"{split}.jsonl", "".join(f"{line}\n" for line in lines))
    if (case.data / PRODUCT).exists():
        shutil.copyfile(case.data / PRODUCT, folder / PRODUCT)
    return groups


def named(row: Example) -> set[str]:
    """Codes of the reasons that a row's narrative speaks of."""
    if row.assessment is None:
        raise DataError(f"Row '{row.id}' carries no assessment; make the pairs with `lendsafe data synth`.")
    opened = parts.of(row.assessment, row.style or Style())
    return {one.code for one in opened if one.kind == "factor"}


def first_tries(rows: Sequence[Example], writer: Narrator) -> list[str]:
    """Narratives of rows, written greedily and held to their parts."""
    requests = _requests(rows)
    return writer.write(
        [prompts.request(one.assessment, one.style) for one in requests],
        forms=[narrate.form(one.assessment, one.style) for one in requests],
    )


def measure(group: str, rows: Sequence[Example], first: Sequence[str], writer: Narrator) -> Measured:
    """Examine every sentence of first tries, and let the writer try again where one may not be sent."""
    requests = _requests(rows)
    found = [
        examine(text, one.assessment, one.style, writer.language)
        for text, one in zip(first, requests, strict=True)
    ]
    references = [
        slots.render(parts.spoken(row.reply), slots.facts(one.assessment))
        for row, one in zip(rows, requests, strict=True)
    ]
    explained = narrate.explain(requests, writer, first=first)
    return Measured(
        group,
        len(rows),
        metrics.rate([one.sent for one in found]),
        sum(one.source != "model" for one in explained) / len(rows),
        dict(sum((Counter(one.counts()) for one in found), Counter())),
        float(overlap.rouge(references, [one.text for one in found])["rougeL"].mean()),
        Counter(_causes(found)).most_common(),
        [
            {"id": row.id, "reply": text, "sent": one.sent, "reference": row.reply}
            for row, text, one in zip(rows, first, found, strict=True)
        ],
    )


def in_words(case: Case, learned: dict[str, float], measured: Sequence[Measured]) -> str:
    """A table, what kept first tries from being sent, and a few samples."""
    head = [
        "base",
        "narratives",
        "n",
        "sent at first try",
        "fallback",
        "supported, contradicted, unsupported",
    ]
    body = [
        [
            Path(case.base).name,
            f"{one.group}: {case.unused}" if one.group == UNUSED else one.group,
            str(one.narratives),
            f"{one.first_try.value:.0%} ({one.first_try.low:.0%} to {one.first_try.high:.0%})",
            f"{one.fallback:.0%}",
            ", ".join(
                str(one.sentences.get(kind, 0)) for kind in ("supported", "contradicted", "unsupported")
            ),
            f"{one.rouge_l:.3f}",
        ]
        for one in measured
    ]
    lines = [table([[*head, "ROUGE-L"], *body]), ""]
    lines.append(", ".join(f"{name} {value:,.4g}" for name, value in learned.items()))
    for one in measured:
        lines += ["", f"{one.group}: why first tries are not sent"]
        lines += [f"{count:4}  {cause}" for cause, count in one.causes[:CAUSES]]
        lines += [
            f"\n{sample['id']}, sent: {sample['sent']}\n{sample['reply']}" for sample in one.samples[:SAMPLES]
        ]
    return "\n".join(lines)


def _rows(case: Case, split: str) -> list[tuple[Example, str]]:
    """Rows of a split with their lines, of the register alone if one is asked for."""
    path = case.data / f"{split}.jsonl"
    lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    return [
        (row, line)
        for row, line in zip(corpus.load(path), lines, strict=True)
        if case.register in (None, (row.style or Style()).register)
    ]


def _learned(trained: Path) -> dict[str, float]:
    """What the training came to."""
    summary = json.loads((trained / "training_metrics.json").read_text("utf-8"))
    steps = [row for row in read_metrics(trained) if row["event"] == "step"]
    return {
        "training rows": summary["train_examples"],
        "steps": summary["total_steps"],
        "training tokens": sum(row["tokens"] for row in steps),
        "training seconds": summary["train_runtime"],
        "training loss": summary["train_loss"],
        "validation loss": summary["eval_loss"],
    }


def _requests(rows: Sequence[Example]) -> list[Request]:
    return [Request(row.assessment, row.style or Style()) for row in rows if row.assessment]


def _causes(found: Sequence[Examination]) -> list[str]:
    return [f"{fault.rule}: {fault.message}" for one in found for fault in narrate.faults(one)]
