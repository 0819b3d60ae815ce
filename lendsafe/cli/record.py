"""``lendsafe record``: is a record whole, what vouches for it, whose letters are in it, what is due to go."""

from datetime import date, datetime
from pathlib import Path

import click

from lendsafe.errors import RefusedError

PATH = click.Path(path_type=Path)
FOLDER = click.argument("folder", type=PATH)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
MOST_SHOWN = 20


@click.group("record")
def command() -> None:
    """Check, search, hand out and clear the record that `lendsafe explain --record` keeps."""


@command.command("verify")
@FOLDER
@click.option("--anchor", help="A line of `lendsafe record anchor`, or a file that holds one.")
@click.option("--mend", is_flag=True, help="First end what a killed run or a full disk began.")
@JSON
def verify(folder: Path, anchor: str | None, mend: bool, as_json: bool) -> None:
    """Check that no byte of a record has changed; nothing is written.

    Without an anchor that was kept elsewhere, the removal of the last lines and a chain that was written anew
    cannot be seen.
    """
    from lendsafe import notice
    from lendsafe.cli.output import as_json as to_json

    for line in notice.mend(folder) if mend else ():
        click.echo(f"Mended: {line}", err=True)
    found = notice.verify(folder, _line(anchor) if anchor is not None else None)
    if found.problems:
        shown = "; ".join(found.problems[:MOST_SHOWN])
        more = f"; and {len(found.problems) - MOST_SHOWN} more" if len(found.problems) > MOST_SHOWN else ""
        raise RefusedError(f"{folder}: {len(found.problems)} problems: {shown}{more}")
    against = "and as the anchor says" if anchor else "no anchor given"
    text = f"{folder}: {found.records} records, every byte as it was written, {against}; last line {found.last_sha256}"
    click.echo(to_json(found) if as_json else text)


@command.command("anchor")
@FOLDER
def anchor(folder: Path) -> None:
    """Print one line that vouches for the whole record: publish it, send it, or have it time-stamped."""
    from lendsafe import notice

    click.echo(notice.anchor(folder))


@command.command("find")
@FOLDER
@click.argument("application")
@JSON
def find(folder: Path, application: str, as_json: bool) -> None:
    """List the records about APPLICATION, an applicant's or account's identifier."""
    from lendsafe import notice
    from lendsafe.cli.output import as_json as to_json

    found = notice.find(folder, application)
    lines = [
        f"{one['folder']}: {one['kind']}, dated {one['notified']}, kept until {one['retain_until']}"
        for one in found
    ]
    click.echo(
        to_json({"records": found}) if as_json else "\n".join(lines) or "No record of that application."
    )


@command.command("export")
@FOLDER
@click.option("--out", type=PATH, required=True, help="ZIP file.")
@click.option("--sample", type=click.IntRange(1), help="Number of records, drawn by hash; all if left out.")
@click.option("--application", help="One application's file instead, to release it.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sample.")
@JSON
def export(
    folder: Path, out: Path, sample: int | None, application: str | None, seed: int, as_json: bool
) -> None:
    """Pack letters with what they were made from, and a script that checks them with Python alone."""
    from lendsafe import notice
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.errors import ConfigError

    if sample is not None and application is not None:
        raise ConfigError("--sample draws from all records, --application packs one file; give one of them.")
    found = notice.export(folder, out, sample=sample, application_id=application, seed=seed)
    text = f"{found.out}: {found.records} of {found.of} records; SHA-256 {found.sha256}"
    click.echo(to_json(found) if as_json else text)


@command.command("expire")
@FOLDER
@click.option(
    "--date",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Destroy what was to be kept until before this day; today by default.",
)
@click.option(
    "--keep",
    "keep",
    multiple=True,
    help="Application whose records stay: under investigation or in proceedings (12 CFR 1002.12(b)(4)).",
)
@click.option("--yes", is_flag=True, help="Destroy; without it, only say what would be.")
@JSON
def expire(folder: Path, day: datetime | None, keep: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Destroy the records whose retention is over, each with a line in the chain that says so."""
    from lendsafe import notice
    from lendsafe.cli.output import as_json as to_json

    found = notice.expire(folder, day.date() if day else date.today(), keep, dry_run=not yes)
    what = "destroyed" if yes else "would be destroyed (--yes does it)"
    text = f"{folder}: {len(found.destroyed)} records {what}, {len(found.kept)} past their day kept"
    click.echo(to_json(found) if as_json else text)


def _line(anchor: str) -> str:
    """The anchor itself, or the first line of the file of that name."""
    from lendsafe.files import disk_errors

    path = Path(anchor)
    if " " in anchor or not path.is_file():
        return anchor
    with disk_errors(path):
        return path.read_text("utf-8", "replace").partition("\n")[0]
