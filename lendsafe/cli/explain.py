"""``lendsafe explain``: one application or many, explained; their letters; the record for the file."""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lendsafe.cli.options import settings, settings_options
from lendsafe.errors import ConfigError, DataError, GateError
from lendsafe.pipeline.settings import GenerateConfig
from lendsafe.records import Style

if TYPE_CHECKING:
    from lendsafe.pipeline.applications import Application, Read
    from lendsafe.pipeline.letters import Explainer, Outcome

PATH = click.Path(path_type=Path)
MOST_SHOWN = 20


class _Share(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.2
    """A share: ``5%`` or ``0.05``."""

    name = "SHARE"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        try:
            found = float(value[:-1]) / 100 if str(value).endswith("%") else float(value)
        except ValueError:
            found = -1.0
        if not 0 <= found <= 1:
            self.fail(f"{value!r} is no share; expected 5% or 0.05", param, ctx)
        return found


_SHARE = _Share()


@click.command("explain")
@click.argument("applications", type=PATH, required=False)
@click.option("--risk", type=PATH, help="Folder of the risk model.")
@click.option("--product", help="Product in use; the one that the model was trained with by default.")
@click.option("--adapter", type=PATH, help="Run folder of the fine-tuned model.")
@click.option("--model", help="A base without adapter instead; with neither, the product's fixed words.")
@click.option("--lender", type=PATH, help="TOML file of the lender; without it, letters are specimens.")
@click.option(
    "--notice", type=PATH, help="File of the letter: .pdf, .html, .txt or .eml; a folder with --out."
)
@click.option(
    "--notice-date", type=click.DateTime(["%Y-%m-%d"]), help="Date of the letters; today by default."
)
@click.option("--record", type=PATH, help="Put every letter on record in this folder.")
@click.option("--out", type=PATH, help="Explain many into this file of JSON lines; run again, it goes on.")
@click.option(
    "--medium",
    type=click.Choice(["pdf", "html", "txt", "eml"]),
    default="pdf",
    help="Of letters with --out.  [default: pdf]",
)
@click.option("--table", type=PATH, help="With --out: the lines as CSV for a spreadsheet, too.")
@click.option(
    "--fail-on-fallback",
    type=_SHARE,
    help="With --out: exit 10 if more of the model's texts are not sent, such as 5%.",
)
@click.option(
    "--example-lender", is_flag=True, help="Print a lender's file to fill in; nothing else is done."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@settings_options(Style)
@settings_options(GenerateConfig)
def command(applications: Path | None, **given: Any) -> None:
    """Decide and explain APPLICATIONS, a raw file as the product reads it, and write their letters.

    CSV, XLSX, JSON or JSON lines, with the product's columns or fields; contact, dates and key factors from the
    columns that the product names. A CSV file has semicolons between the entries of a cell.

    \b
    {"applicant_id": "A-1", "received": "2026-11-02", ...,
     "contact": {"name": "Jordan Sample", "address": ["1 Elm St", "Ohio"]}}
    """  # noqa: D301  # click reads the control character
    from lendsafe.cli.output import as_json

    if given["example_lender"]:
        from lendsafe.notice import example_toml

        click.echo(example_toml(), nl=False)
        return
    if applications is None or given["risk"] is None:
        raise ConfigError("Name a file of applications and the risk model: lendsafe explain FILE --risk DIR.")
    from lendsafe.pipeline.applications import listed, read_file
    from lendsafe.pipeline.letters import in_use
    from lendsafe.risk.model import RiskEngine

    product = in_use(RiskEngine.load(given["risk"]), given["product"]).features.product
    found = read_file(applications, product)  # before a language model is loaded
    if found.unmapped:
        click.echo(f"Not in the product: {', '.join(found.unmapped)}", err=True)
    if given["out"]:
        result = _many(found, given)
        shown = _summary(result, given["out"])
    else:
        if found.rejects:
            raise DataError(f"{applications}: {_listed(listed(found.rejects))}")
        result, shown = _one(list(found.applications), applications, given)
    click.echo(as_json(result) if given["as_json"] else shown)
    if failed := result.get("failed"):
        raise DataError(f"{len(failed)} applications have no line in {given['out']}: " + _listed(failed))
    _gate(result, given["fail_on_fallback"])


def _summary(result: dict[str, Any], out: Path) -> str:
    """What became of a batch: who wrote, and why not the model; what is late, waits, or was refused."""
    lines = [f"{out}: {result['written']} lines written, {result['found']} were there"]
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(result["decisions"].items()))
    lines.append(f"  {kinds}")
    writers = {
        "model": "by the model",
        "template": "in the product's fixed words",
        "held": "held for a person",
    }
    for source, count in result["sources"].items():
        lines.append(f"  {count} {writers[source]}")
    lines += [f"    {count} because {why}" for why, count in result["whys"].items()]
    if result["late"]:
        lines.append(f"  {result['late']} late")
    if result["failed"]:
        lines.append(f"  {len(result['failed'])} refused")
    return "\n".join(lines)


def _gate(result: dict[str, Any], most: float | None) -> None:
    if most is None or "written" not in result:
        return
    asked = result["sources"].get("model", 0) + result["fallbacks"]
    if asked and result["fallbacks"] > most * asked:
        raise GateError(
            f"{result['fallbacks']} of {asked} texts of the model were not sent; at most {most:.1%} may be."
        )


def _explainer(given: dict[str, Any]) -> "Explainer":
    from lendsafe.notice import demo_config
    from lendsafe.pipeline.letters import Explainer

    lender: Any = given["lender"]
    if lender is None and (given["notice"] or given["record"]):
        click.echo("No --lender: every letter is a specimen, from a lender that does not exist.", err=True)
        lender = demo_config()
    return Explainer.load(
        given["risk"],
        product=given["product"],
        adapter=given["adapter"],
        model=given["model"],
        lender=lender,
        style=settings(Style, given),
        generation=settings(GenerateConfig, given),
    )


def _one(found: "list[Application]", path: Path, given: dict[str, Any]) -> tuple[dict[str, Any], str]:
    from lendsafe.pipeline.letters import ending, keep, only, render

    application = only(found, str(path))
    medium = ending(given["notice"]) if given["notice"] else given["medium"]
    outcome = _explainer(given).explain([application], notice_date=_day(given))[0]
    result = outcome.to_json()
    if outcome.letter and outcome.letter.late_on(max(outcome.letter.case.dates.notice, _today())):
        _warn_late(1, outcome.letter.case.deadline)
    if given["record"] and outcome.letter:
        result["letter"]["record"] = keep(outcome, given["record"], {medium: render(outcome.letter, medium)})
    if given["notice"]:
        outcome.write_letter(given["notice"])
        result["letter"]["file"] = str(given["notice"])
    return result, _shown(outcome, result)


def _many(found: "Read", given: dict[str, Any]) -> dict[str, Any]:
    from dataclasses import asdict

    from lendsafe.cli.progress import counter
    from lendsafe.files import write_atomically
    from lendsafe.pipeline import batch

    delivery = batch.Delivery(
        folder=given["notice"], medium=given["medium"], record=given["record"], notice_date=_day(given)
    )
    done = batch.run(_explainer(given), found, given["out"], delivery, done=counter("letters"))
    if given["table"]:
        write_atomically(given["table"], batch.as_table(given["out"]), private=True)
    if done.late:
        _warn_late(done.late)
    return asdict(done)


def _today() -> date:
    return date.today()


def _day(given: dict[str, Any]) -> date:
    day: datetime | None = given["notice_date"]
    today = _today()
    if day and day.date() < today and (given["notice"] or given["record"] or given["lender"]):
        click.echo(
            f"Warning: dated {day.date()}, and written {today}; a record marks the letter as backdated, and counts "
            "the 30 days to when it was written.",
            err=True,
        )
    return day.date() if day else today


def _warn_late(letters: int, deadline: date | None = None) -> None:
    due = f" (it was due on {deadline})" if deadline else ""
    what = "The letter is" if letters == 1 else f"{letters} letters are"
    click.echo(
        f"Warning: {what} later than 30 days after the application{due}: 12 CFR 1002.9(a)(1).", err=True
    )


def _shown(outcome: "Outcome", result: dict[str, Any]) -> str:
    told, assessment = outcome.explanation, outcome.explanation.assessment
    lines = [
        f"{outcome.application.id}: {assessment.decision}, probability of default "
        f"{assessment.default_probability:.3f}, cut-off {assessment.cutoff:.3f}"
    ]
    approved = assessment.decision == "approved"
    against = "Weighed against it:" if approved else "Reasons:"
    for heading, key in (("Counted in favor:", "strengths" if approved else ""), (against, "reasons")):
        if factors := result.get(key):
            lines += [heading, *(_factor(number, one) for number, one in enumerate(factors, start=1))]
    if assessment.missing:
        lines += ["Missing:", *(f"  {name}" for name in assessment.missing)]
    how = {
        "model": f"Written by the model, try {told.tries}; every sentence is approved and every check passed.",
        "template": "In the product's fixed words"
        + (f", since {told.why}" if told.why else "")
        + "; every check passed.",
        "held": f"The model's text, held for a person, since {told.why}. It is not sent.",
    }[told.source]
    lines += ["", told.text, "", how]
    if letter := result["letter"]:
        due = f", due by {letter['deadline']}" if letter["deadline"] else ""
        lines.append(f"Letter: {letter['kind']}, dated {letter['notice_date']}{due}")
        lines += [f"{name.capitalize()}: {letter[name]}" for name in ("file", "record") if name in letter]
    return "\n".join(lines)


def _factor(number: int, one: dict[str, Any]) -> str:
    return f"  {number}. {one['statement']} ({one['strength']}, {one['contribution']:+.2f} log-odds)"


def _listed(problems: "tuple[str, ...] | list[str]") -> str:
    more = f"; and {len(problems) - MOST_SHOWN} more" if len(problems) > MOST_SHOWN else ""
    return "; ".join(problems[:MOST_SHOWN]) + more
