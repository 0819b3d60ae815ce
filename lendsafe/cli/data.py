"""``lendsafe data``: make synthetic pairs, import credit files, check files."""

from pathlib import Path
from typing import Any

import click

from lendsafe.cli.options import settings, settings_options
from lendsafe.corpus.config import SynthConfig

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
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(path: Path, as_json: bool) -> None:
    """Validate a data file or folder; name every problem, and rejections that their data contradict."""
    from collections import Counter

    from lendsafe.cli.output import as_json as to_json
    from lendsafe.cli.progress import counter
    from lendsafe.corpus.contradictions import contradictions, rejections, untrue_narratives
    from lendsafe.corpus.load import load
    from lendsafe.corpus.reading import BadFileError

    try:
        examples = load(path)
    except BadFileError as bad:
        if as_json:
            click.echo(to_json({"examples": 0, "problems": bad.problems}))
        raise
    untrue, rejected = contradictions(examples), rejections(examples)
    known = sum(one.assessment is not None for one in examples)
    wrong = untrue_narratives(examples, counter("narratives checked"))
    report: dict[str, Any] = {
        "examples": len(examples),
        "problems": [],
        "decisions": dict(Counter(one.decision or "not stated" for one in examples)),
        "splits": dict(Counter(one.split or "not stated" for one in examples)),
        "reply_words_mean": round(sum(len(one.reply.split()) for one in examples) / len(examples), 1),
        "narratives_checked": known,
        "narratives_wrong": wrong,
        "rejections_read": len(rejected),
        "rejections_contradicted": len(untrue),
        "contradicted_examples": [{"id": one.id, "claims": one.claims} for one in untrue[:5]],
    }
    if as_json:
        click.echo(to_json(report))
        return
    click.echo(f"{path}: {len(examples):,} examples, all can be used")
    for name in ("decisions", "splits"):
        click.echo(f"{name}: {', '.join(f'{key} {count:,}' for key, count in sorted(report[name].items()))}")
    click.echo(f"words of a reply: {report['reply_words_mean']} on average")
    if known:
        click.echo(f"{len(wrong):,} of {known:,} narratives are not true of their assessment")
        for one in wrong[:5]:
            click.echo(f"  {one.id}: {' '.join(one.claims)}")
    if rejected:
        click.echo(f"{len(untrue)} of {len(rejected)} rejection texts contradict their applicant, such as")
        for one in untrue[:5]:
            click.echo(f"  {one.id} claims {', and '.join(one.claims)}")
