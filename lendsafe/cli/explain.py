"""``lendsafe explain``: one application or many, explained; their letters; the record for the file."""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lendsafe.cli.options import settings, settings_options
from lendsafe.errors import ConfigError, DataError
from lendsafe.pipeline.settings import GenerateConfig
from lendsafe.records import Style

if TYPE_CHECKING:
    from lendsafe.pipeline.applications import Application
    from lendsafe.pipeline.letters import Explainer, Outcome

PATH = click.Path(path_type=Path)
MOST_SHOWN = 20


@click.command("explain")
@click.argument("applications", type=PATH, required=False)
@click.option("--risk", type=PATH, help="Folder of the risk model.")
@click.option("--adapter", type=PATH, help="Run folder of the fine-tuned model.")
@click.option("--model", help="A base without adapter instead; with neither, the template writes.")
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
    "--example-lender", is_flag=True, help="Print a lender's file to fill in; nothing else is done."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@settings_options(Style)
@settings_options(GenerateConfig)
def command(applications: Path | None, **given: Any) -> None:
    """Decide and explain APPLICATIONS (JSON, JSON lines or CSV) and write their letters.

    \b
    {"applicant_id": "A-1", "loan_amount": 12000, "loan_term_months": 36,
     "loan_purpose": "vehicle", "annual_income": 41000, "income_verified": true,
     "employment_months": 14, "debt_to_income": 46.5, "credit_score": 612,
     "delinquencies_24m": 3, "collections": 0, "bankruptcies": 0,
     "inquiries_6m": 5, "oldest_account_months": 30, "open_accounts": 6,
     "accounts_opened_24m": 4, "revolving_utilization": 91.0,
     "received": "2026-11-02", "score_created": "2026-11-03",
     "key_factors": ["Too many inquiries"],
     "contact": {"name": "Jordan Sample", "address": ["1 Elm St", "Ohio"]}}

    A CSV file has columns contact.name and contact.address, and semicolons between the entries of a cell.
    """  # noqa: D301  # click reads the control character
    from lendsafe.cli.output import as_json

    if given["example_lender"]:
        from lendsafe.notice import example_toml

        click.echo(example_toml(), nl=False)
        return
    if applications is None or given["risk"] is None:
        raise ConfigError("Name a file of applications and the risk model: lendsafe explain FILE --risk DIR.")
    from lendsafe.pipeline.applications import read_applications

    found = read_applications(applications)  # before anything heavy is loaded
    if given["out"]:
        result = _many(found, given)
        shown = f"{given['out']}: {result['written']} lines written, {result['found']} were there"
    else:
        result, shown = _one(found, applications, given)
    click.echo(as_json(result) if given["as_json"] else shown)
    if failed := result.get("failed"):
        raise DataError(f"{len(failed)} applications have no line in {given['out']}: " + _listed(failed))


def _explainer(given: dict[str, Any]) -> "Explainer":
    from lendsafe.notice import demo_config
    from lendsafe.pipeline.letters import Explainer

    lender: Any = given["lender"]
    if lender is None and (given["notice"] or given["record"]):
        click.echo("No --lender: every letter is a specimen, from a lender that does not exist.", err=True)
        lender = demo_config()
    return Explainer.load(
        given["risk"],
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


def _many(found: "list[Application]", given: dict[str, Any]) -> dict[str, Any]:
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
    how = f"the model, try {told.tries}" if told.source == "model" else "the template"
    how += f" after {told.tries} tries that failed a check" if result["fallback"] else ""
    lines += ["", told.text, "", f"Written by {how}; every check passed."]
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
