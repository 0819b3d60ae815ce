"""``lendsafe risk``: train, score, explain, report and monitor the risk model."""

from pathlib import Path
from typing import Any

import click

from lendsafe.cli.options import config_option, settings, settings_options
from lendsafe.risk.config import RiskConfig

PATH = click.Path(path_type=Path)
REFERENCE = click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="ATTRIBUTE=GROUP",
    help="Group that others are compared with.",
)


@click.group("risk")
def command() -> None:
    """Train, score, explain, report and monitor the risk model."""


@command.command("train")
@click.argument("applications", type=PATH)
@click.option("--out", type=PATH, required=True, help="New or empty folder of the model.")
@click.option(
    "--product", default="consumer", show_default=True, help="Packaged product, or TOML file of your own."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@config_option
@settings_options(RiskConfig)
def train(
    applications: Path, out: Path, product: str, as_json: bool, config: Path | None, **given: Any
) -> None:
    """Fit a model on past APPLICATIONS with outcomes: the raw file, or what `lendsafe data import` wrote."""
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.risk.commands import train_into

    engine = train_into(
        applications,
        out,
        settings(RiskConfig, given, config),
        product,
        say=lambda line: click.echo(line, err=True),
    )
    facts = engine.training
    if as_json:
        table = {"rows": facts.rows, "defaults": facts.defaults, "depth": facts.depth, "trees": facts.trees}
        click.echo(to_json({"out": out, "identity": engine.identity, "cutoff": engine.cutoff, **table}))
        return
    click.echo(
        f"{out}: {engine.identity}, {facts.trees} trees of depth {facts.depth}, fitted on {facts.rows} "
        f"applications with {facts.defaults} defaults; approves up to a default probability of {engine.cutoff:.3f}"
    )
    click.echo(f"Next: lendsafe risk report {applications} --risk {out}", err=True)


@command.command("score")
@click.argument("applications", type=PATH)
@click.option("--risk", type=PATH, required=True, help="Folder of the model.")
@click.option("--out", type=PATH, help="CSV file of decisions and reasons; printed if not given.")
@click.option("--strict", is_flag=True, help="Refuse the file for one wrong row, instead of leaving it out.")
@click.option("--json", "as_json", is_flag=True, help="Print counts as JSON; needs --out.")
def score(applications: Path, risk: Path, out: Path | None, strict: bool, as_json: bool) -> None:
    """Decide every application of a file: decision, probability, score, up to four reasons."""
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.risk.commands import score_file

    if as_json and not out:
        raise click.UsageError("--json prints the counts; give --out for the decisions.")
    content, counts = score_file(applications, risk, out, strict=strict)
    if not out:
        click.echo(content, nl=False)
    elif as_json:
        click.echo(to_json({"out": out, **counts}))
    else:
        click.echo(f"{out}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))


@command.command("explain")
@click.argument("applications", type=PATH)
@click.option("--risk", type=PATH, required=True, help="Folder of the model.")
@click.option("--id", "ids", multiple=True, help="Identifier of an application; the first ten if not given.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def explain(applications: Path, risk: Path, ids: tuple[str, ...], as_json: bool) -> None:
    """Show the ranked reasons of applications with the values and contributions behind them."""
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.risk.commands import explain_file, in_words

    found = explain_file(applications, risk, ids)
    click.echo(to_json({"applications": found}) if as_json else "\n\n".join(map(in_words, found)))


@command.command("report")
@click.argument("applications", type=PATH)
@click.option("--risk", type=PATH, required=True, help="Folder of the model.")
@click.option(
    "--protected", type=PATH, help="CSV of protected columns by applicant_id; the import's own if not given."
)
@click.option(
    "--out", type=PATH, help="Folder of report.html and metrics.json; the model's own if not given."
)
@click.option(
    "--resamples",
    type=click.IntRange(100, 100_000),
    default=1000,
    show_default=True,
    help="Of the intervals.",
)
@click.option(
    "--alternatives/--no-alternatives", default=True, help="Search for less discriminatory alternatives."
)
@REFERENCE
@click.option(
    "--document", "facts", type=PATH, help="TOML of purpose, owner, version ...: writes the model document."
)
@click.option("--json", "as_json", is_flag=True, help="Print metrics.json.")
def report(
    applications: Path,
    risk: Path,
    protected: Path | None,
    out: Path | None,
    references: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Measure a model on APPLICATIONS, without those that it was trained on."""
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.risk.commands import report_into

    found = report_into(
        applications,
        risk,
        protected,
        out or risk,
        references=_pairs(references),
        say=lambda line: click.echo(line, err=True),
        **given,
    )
    if as_json:
        click.echo(to_json(found))
        return
    if performance := found["performance"]:
        auc = performance["model"]["auc"]
        click.echo(
            f"AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}] on {performance['n']} applications"
        )
    for line in found["limits"]:
        click.echo(f"- {line}")
    click.echo(f"{(out or risk) / 'report.html'}")


@command.command("monitor")
@click.argument("applications", type=PATH)
@click.option("--risk", type=PATH, required=True, help="Folder of the model.")
@click.option(
    "--protected", type=PATH, help="CSV of protected columns by applicant_id; the import's own if not given."
)
@click.option(
    "--out", type=PATH, help="Folder of monitor.html and monitor.json; the model's own if not given."
)
@REFERENCE
@click.option(
    "--limits", type=PATH, help="TOML of limits: score_psi, feature_psi, reason_psi, calibration ..."
)
@click.option("--json", "as_json", is_flag=True, help="Print monitor.json.")
def monitor(
    applications: Path,
    risk: Path,
    out: Path | None,
    references: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """Compare new APPLICATIONS with those at development; exits with 10 if a limit is exceeded."""
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.errors import GateError
    from lendsafe.risk.appraisal.records import plain
    from lendsafe.risk.commands import monitor_into

    found = monitor_into(applications, risk, out=out or risk, references=_pairs(references), **given)
    if as_json:
        click.echo(to_json(plain(found)))
    else:
        click.echo(
            f"{(out or risk) / 'monitor.html'}: {found.n} applications, {len(found.exceeded)} limits exceeded"
        )
        for line in found.exceeded:
            click.echo(f"- {line}")
    if found.exceeded:
        raise GateError(f"{len(found.exceeded)} limits are exceeded. {found.exceeded[0]}")


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    """``ATTRIBUTE=GROUP`` texts as a mapping."""
    if wrong := [one for one in texts if "=" not in one]:
        raise click.UsageError(f"--reference is '{wrong[0]}'; expected ATTRIBUTE=GROUP.")
    return dict(one.split("=", 1) for one in texts)
