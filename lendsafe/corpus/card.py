"""The data card of a synthetic set: what it is, what is in it, how varied it is, what it is not."""

from collections import Counter
from statistics import mean
from typing import TYPE_CHECKING

from lendsafe.corpus import process
from lendsafe.corpus.statistics import distinct, duplicate_sentences, longest_shared

if TYPE_CHECKING:
    from lendsafe.corpus.config import SynthConfig
    from lendsafe.corpus.load import Example
    from lendsafe.corpus.synth import Synthetic


def data_card(data: "Synthetic", config: "SynthConfig") -> str:
    """Markdown for the folder's ``README.md``."""
    return (
        "\n".join(
            [
                *_summary(data, config),
                *_counts(data),
                *_coverage(data),
                *_variety(data),
                *_limits(data, config),
            ]
        )
        + "\n"
    )


def _summary(data: "Synthetic", config: "SynthConfig") -> list[str]:
    head = [
        "# Lending explanations",
        "",
        f"Made by `lendsafe data synth --n {config.n} --seed {config.seed} --history {config.history}` for the product "
        f"`{data.product.name}`; the same command writes the same bytes.",
        "",
        "| file | what |",
        "|---|---|",
        "| `training_examples.json`, `.jsonl`, `.csv` | all examples, three times the same |",
        "| `train.jsonl`, `valid.jsonl` | the same by split; no applicant is in both |",
        "| `valid_unseen_wordings.jsonl` | further held-out examples in wordings that no training row uses |",
        "| `product.json` | the product whose fields and reasons they are about |",
    ]
    tail = [
        "",
        "`output` and `messages` hold replies in labelled parts with facts as `{slots}`; `text` is the narrative as a "
        "reader sees it. `seed` and `template` say what it was drawn from.",
        "",
    ]
    if data.population is None:
        return [
            *head,
            *tail,
            "Decisions and reasons are the risk model's, of the applications that were given; where they name a reason "
            "too seldom at some strength, further assessments are drawn from the fields' ranges (their "
            "identifiers begin with S). Rows are chosen so that every reason is named; they are not a sample of the "
            "applications.",
        ]
    return [
        *head,
        "| `applications.csv` | the applications with the outcome (`defaulted`) |",
        "| `protected.csv` | attributes for fair-lending tests only; never joined to features |",
        "| `history.csv` | past applicants with outcomes, for the risk model (if asked for) |",
        *tail,
        "No real applicant is in it. It is not for underwriting. "
        "Applicants come from a documented latent process (`lendsafe/corpus/process.toml`). The true probability of "
        "default decides, with the policy's knock-out rules, and the true contributions give the reasons. "
        "Those kept are drawn so that the counts below are exact; their joint distribution is fitted to the "
        "process's own, so it is not that of the process.",
    ]


def _counts(data: "Synthetic") -> list[str]:
    rows = data.rows
    lines = ["", "## Counts", "", "| | examples |", "|---|---|"]
    examples = [row.example for row in rows]
    for counts in (
        Counter(str(one.decision) for one in examples),
        Counter(str(one.type) for one in examples),
        Counter(str(one.split) for one in examples),
        Counter(f"register {one.style.register}" for one in examples if one.style),
        Counter(f"detail {one.style.detail}" for one in examples if one.style),
        *(_by_band(band, examples) for band in (process.bands() if data.population is not None else ())),
    ):
        lines += [f"| {name} | {count:,} |" for name, count in sorted(counts.items())]
    words = [len(row.text.split()) for row in rows]
    lines += ["", f"Narratives have {mean(words):.1f} words on average, {min(words)} to {max(words)}."]
    return lines


def _by_band(band: "process.Bands", examples: list["Example"]) -> Counter[str]:
    places = [band.band(one.assessment.applicant) for one in examples if one.assessment]
    return Counter(band.label(at) for at in places if at is not None)


def _coverage(data: "Synthetic") -> list[str]:
    """How often each reason is named on each side at each strength."""
    counts = data.coverage
    lines = [
        "", "## Reasons", "", "Times that each is named, slight / moderate / strong:", "",
        "| reason | against | in favor |", "|---|---|---|",
    ]  # fmt: skip
    for code in data.product.reasons:
        cells = [" / ".join(str(counts.get((code, side, size), 0)) for size in ("slight", "moderate", "strong"))
                 for side in ("against", "in favor")]  # fmt: skip
        lines.append(f"| {code} | {cells[0]} | {cells[1]} |")
    return lines


def _variety(data: "Synthetic") -> list[str]:
    texts = [row.text for row in data.rows]
    slotted = [row.example.reply for row in data.rows]
    train = [row.example.reply for row in data.rows if row.example.split == "train"]
    valid = [row.example.reply for row in data.rows if row.example.split == "valid"]
    unseen = [row.example.reply for row in data.unseen]
    shared, foreign = longest_shared(valid, train), longest_shared(unseen, train)
    return [
        "",
        "## Variety",
        "",
        "| measure | with slots | as text |",
        "|---|---|---|",
        f"| distinct-1 | {distinct(slotted, 1):.4f} | {distinct(texts, 1):.4f} |",
        f"| distinct-2 | {distinct(slotted, 2):.4f} | {distinct(texts, 2):.4f} |",
        f"| sentences found more than once | {duplicate_sentences(slotted):.1%} | {duplicate_sentences(texts):.1%} |",
        f"| narratives found more than once | {_repeated(slotted):.1%} | {_repeated(texts):.1%} |",
        "",
        f"The longest run of words that a validation narrative (with slots) shares with a training narrative has "
        f"{max(shared)} words; the mean over the {len(shared)} is {mean(shared):.1f}. "
        f"For the {len(foreign)} in unseen wordings it is {max(foreign)}, mean {mean(foreign):.1f}.",
    ]


def _repeated(texts: list[str]) -> float:
    return sum(count for count in Counter(texts).values() if count > 1) / len(texts)


def _limits(data: "Synthetic", config: "SynthConfig") -> list[str]:
    synthetic = data.population is not None
    return [
        "",
        "## Limits",
        "",
        "- A grammar wrote the narratives: it knows a few wordings of each thing, not the language of people. "
        "Scores on held-out rows say how well a model learned this grammar's task.",
        *(
            [
                "- Every applicant has a bureau score from 550 to 850 and a complete application, so "
                "`no_credit_file` does not occur."
            ]
            if synthetic
            else []
        ),
        "- There are no counteroffers and no incomplete applications.",
        "- An approval shows three strengths at most, and two factors that weighed against it.",
        "- A detailed factor analysis is always an approval; a decline is always an adverse action, in either detail.",
        *(
            ["- Amounts, incomes and rates are plausible, not calibrated to any portfolio or place."]
            if synthetic
            else []
        ),
        f"- Rows with split `valid` are held out from training; seed {config.seed} fixes who they are.",
    ]
