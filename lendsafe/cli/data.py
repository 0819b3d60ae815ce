"""``lendsafe data``: make synthetic pairs, import credit files, check files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lendsafe.cli.options import settings, settings_options
from lendsafe.corpus.config import SynthConfig

if TYPE_CHECKING:
    from lendsafe.corpus.handwritten import Checked

PATH = click.Path(path_type=Path)


@click.group("data")
def command() -> None:
    """Make, import and check data."""


@command.command("synth")
@click.option("--out", type=PATH, required=True, help="New or empty folder.")
@click.option(
    "--product", default="consumer", show_default=True, help="Packaged product, or TOML file of your own."
)
@click.option("--risk", type=PATH, help="Risk model that scores --applications and gives their reasons.")
@click.option(
    "--applications", type=PATH, help="Past applications of your own; else fields' ranges are drawn from."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@settings_options(SynthConfig)
def synth(
    out: Path, product: str, risk: Path | None, applications: Path | None, as_json: bool, **given: Any
) -> None:
    """Write training pairs: of the consumer product's synthetic applicants, or of your own product."""
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.cli.progress import counter
    from lendsafe.pipeline.pairs import coverage_in_words, synth

    if (risk is None) != (applications is None):
        raise click.UsageError(
            "--risk and --applications belong together: the model gives the applications' reasons."
        )
    made = synth(product, settings(SynthConfig, given), out, risk, applications, counter("narratives"))
    counts: dict[str, Any] = {"rows": len(made.rows), "unseen_wordings": len(made.unseen), "out": out}
    if as_json:
        reasons = [
            {"reason": c, "side": s, "strength": z, "times": n}
            for (c, s, z), n in sorted(made.coverage.items())
        ]
        click.echo(to_json(counts | {"product": made.product.name, "reasons": reasons}))
        return
    click.echo(f"{out}: {len(made.rows)} rows, {len(made.unseen)} in unseen wordings")
    if made.population is None:
        click.echo(coverage_in_words(made))


@command.command("import")
@click.argument("file", type=PATH)
@click.option("--product", required=True, help="Packaged product, or TOML file of your own.")
@click.option("--out", type=PATH, required=True, help="CSV file of the applications.")
@click.option("--strict", is_flag=True, help="Refuse the file for one wrong row, instead of leaving it out.")
@click.option("--json", "as_json", is_flag=True, help="Print the account of the import as JSON.")
def import_(file: Path, product: str, out: Path, strict: bool, as_json: bool) -> None:
    """Read a raw FILE by a product; say which columns and rows were set aside and why."""
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.risk import commands

    lineage = commands.import_into(file, product, out, strict=strict)
    click.echo(to_json(lineage | {"out": out}) if as_json else commands.lineage_in_words(lineage, out))


@command.command("check")
@click.argument("path", type=PATH)
@click.option("--product", help="What the pairs are about: packaged product, or TOML file of your own.")
@click.option("--dedupe", type=PATH, help="JSON lines file to write, without rows that repeat another one.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(path: Path, product: str | None, dedupe: Path | None, as_json: bool) -> None:
    """Validate a file or folder of training pairs; name every problem at once, with its line.

    Pairs written by hand are JSON lines; the prompt is made from the assessment. Replies are in parts and show
    facts as slots; `lendsafe data label` puts in the labels of the parts.

    \b
    {"assessment": {...}, "style": {"register": "plain", "detail": "standard"},
     "output": "[decision] We have declined ... [reason 1] ... [end] ..."}
    """  # noqa: D301  # click reads the control character
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.cli.progress import counter
    from lendsafe.corpus.handwritten import check_pairs, without_repeats
    from lendsafe.corpus.reading import BadFileError
    from lendsafe.product import load as load_product

    chosen = load_product(product) if product else None
    found = check_pairs(path, chosen, counter("pairs checked"))
    problems = [*found.problems, *(() if dedupe else found.repeats)]
    report = _report(found)
    if problems:
        bad = BadFileError(problems)
        if as_json:
            click.echo(to_json(report | {"problems": bad.problems}))
        raise bad
    if dedupe:
        report |= {"left_out": without_repeats(path, dedupe, chosen), "out": dedupe}
    click.echo(to_json(report) if as_json else _in_words(path, report))


@command.command("label")
@click.argument("file", type=PATH)
@click.option("--out", type=PATH, required=True, help="JSON lines file of the pairs with labels.")
@click.option("--product", help="What the pairs are about: packaged product, or TOML file of your own.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def label(file: Path, out: Path, product: str | None, as_json: bool) -> None:
    """Put the labels of the parts into replies of FILE that have none, by their slots and words."""
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.corpus.handwritten import label_file
    from lendsafe.product import load as load_product

    labelled, before = label_file(file, out, load_product(product) if product else None)
    if as_json:
        click.echo(to_json({"out": out, "labelled": labelled, "had_labels": before}))
    else:
        click.echo(f"{out}: {labelled} replies labelled, {before} had labels")


def _report(found: "Checked") -> dict[str, Any]:
    """What a check says beside the problems."""
    from collections import Counter

    from lendsafe.corpus.contradictions import contradictions, rejections

    examples = found.examples
    untrue = contradictions(examples)
    words = sum(len(one.reply.split()) for one in examples)
    return {
        "examples": len(examples),
        "problems": [],
        "repeats": len(found.repeats),
        "decisions": dict(Counter(one.decision or "not stated" for one in examples)),
        "splits": dict(Counter(one.split or "not stated" for one in examples)),
        "reply_words_mean": round(words / len(examples), 1) if examples else 0.0,
        "of_a_product": found.of_a_product,
        "sentences_unapproved": found.unapproved,
        "rejections_read": len(rejections(examples)),
        "rejections_contradicted": len(untrue),
        "contradicted_examples": [{"id": one.id, "claims": one.claims} for one in untrue[:5]],
    }


def _in_words(path: Path, report: dict[str, Any]) -> str:
    lines = [f"{path}: {report['examples']:,} examples, all can be used"]
    counts = {name: sorted(report[name].items()) for name in ("decisions", "splits")}
    lines += [f"{name}: {', '.join(f'{key} {n:,}' for key, n in found)}" for name, found in counts.items()]
    lines.append(f"words of a reply: {report['reply_words_mean']} on average")
    if report["of_a_product"]:
        lines.append(
            f"{report['of_a_product']:,} held against their product; {report['sentences_unapproved']:,} sentences "
            "are in no approved wording: training on them approves them"
        )
    if "out" in report:
        lines.append(f"{report['out']}: without {report['left_out']} rows that repeated another one")
    if report["rejections_read"]:
        lines.append(
            f"{report['rejections_contradicted']} of {report['rejections_read']} rejection texts contradict their "
            "applicant, such as"
        )
        lines += [
            f"  {one['id']} claims {', and '.join(one['claims'])}" for one in report["contradicted_examples"]
        ]
    return "\n".join(lines)
