"""The data card of a synthetic set: what it is, what is in it, how varied it is, what it is not."""

from collections import Counter
from statistics import mean
from typing import TYPE_CHECKING

from lendsafe.corpus.statistics import distinct, duplicate_sentences, longest_shared

if TYPE_CHECKING:
    from lendsafe.corpus.synth import Row, SynthConfig, Synthetic


def data_card(data: "Synthetic", config: "SynthConfig") -> str:
    """Markdown for the folder's ``README.md``."""
    return "\n".join([*_summary(config), *_counts(data.rows), *_variety(data), *_limits(config)]) + "\n"


def _summary(config: "SynthConfig") -> list[str]:
    return [
        "# Synthetic lending explanations",
        "",
        f"Made by `lendsafe data synth --n {config.n} --seed {config.seed} --history {config.history}`; "
        "the same command writes the same bytes.",
        "No real applicant is in it. It is not for underwriting.",
        "",
        "| file | what |",
        "|---|---|",
        "| `training_examples.json`, `.jsonl`, `.csv` | all examples, three times the same |",
        "| `train.jsonl`, `valid.jsonl` | the same by split; no applicant is in both |",
        "| `valid_unseen_wordings.jsonl` | further held-out examples in wordings that no training row uses |",
        "| `applications.csv` | the applications with the outcome (`defaulted`) |",
        "| `protected.csv` | attributes for fair-lending tests only; never joined to features |",
        "| `history.csv` | past applicants with outcomes, for the risk model (if asked for) |",
        "",
        "`output` and `messages` hold facts as `{slots}`; `text` is the same narrative with the facts filled in. "
        "`seed` and `template` say what the narrative was drawn from.",
        "",
        "Applicants come from a documented latent process (`lendsafe/corpus/process.toml`). The true probability of "
        "default decides, with the policy's knock-out rules, and the true contributions give the reasons. "
        "Those kept are drawn so that the counts below are exact; their joint distribution is fitted to the "
        "process's own, so it is not that of the process.",
    ]


def _counts(rows: list["Row"]) -> list[str]:
    lines = ["", "## Counts", "", "| | examples |", "|---|---|"]
    examples = [row.example for row in rows]
    for counts in (
        Counter(str(one.decision) for one in examples),
        Counter(str(one.type) for one in examples),
        Counter(str(one.split) for one in examples),
        Counter(f"register {one.style.register}" for one in examples if one.style),
        Counter(f"detail {one.style.detail}" for one in examples if one.style),
        Counter(_score_band(one.assessment.applicant.credit_score) for one in examples if one.assessment),
        Counter(_amount_band(one.assessment.applicant.loan_amount) for one in examples if one.assessment),
    ):
        lines += [f"| {name} | {count:,} |" for name, count in sorted(counts.items())]
    words = [len(row.text.split()) for row in rows]
    lines += ["", f"Narratives have {mean(words):.1f} words on average, {min(words)} to {max(words)}."]
    named = Counter(
        factor.code
        for one in examples
        if one.assessment and one.decision == "declined"
        for factor in one.assessment.reasons
    )
    lines += ["", "Reasons of the declined:", "", "| reason | times |", "|---|---|"]
    return lines + [f"| {code} | {count:,} |" for code, count in named.most_common()]


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


def _limits(config: "SynthConfig") -> list[str]:
    return [
        "",
        "## Limits",
        "",
        "- A grammar wrote the narratives: it knows a few wordings of each thing, not the language of people. "
        "Scores on held-out rows say how well a model learned this grammar's task.",
        "- Every applicant has a bureau score from 550 to 850 and a complete application, so `no_credit_file` does "
        "not occur, and there are no counteroffers and no incomplete applications.",
        "- An approval shows three strengths at most, and two factors that weighed against it.",
        "- A detailed factor analysis is always an approval; a decline is always an adverse action, in either detail.",
        "- Amounts, incomes and rates are plausible, not calibrated to any portfolio or place.",
        f"- Rows with split `valid` are held out from training; seed {config.seed} fixes who they are.",
    ]


def _score_band(score: int | None) -> str:
    return (
        "score [550, 640)"
        if (score or 0) < 640
        else "score [640, 700)"
        if (score or 0) < 700
        else "score [700, 850]"
    )


def _amount_band(amount: float) -> str:
    if amount < 15_000:
        return "amount [5,000, 15,000)"
    return "amount [15,000, 35,000)" if amount < 35_000 else "amount [35,000, 50,000]"
