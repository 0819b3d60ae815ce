"""``lendsafe law``: look up, search, compare and refresh the law; compare the letters with it; ask."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lendsafe.errors import ConfigError, GateError

if TYPE_CHECKING:
    from lendsafe.law import Change, Law, Paragraph
    from lendsafe.law.answers import Answer

PATH = click.Path(path_type=Path)
DAY = click.DateTime(["%Y-%m-%d"])
WAYS = ("words", "meaning", "chroma")
Command = TypeVar("Command", bound=Callable[..., Any])


def _options(command: Command) -> Command:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
        click.option(
            "--law", "folder", type=PATH, help="Folder of refreshed texts.  [default: ~/.lendsafe/law]"
        ),
        click.option("--as-of", "day", type=DAY, metavar="DAY", help="Day of the law.  [default: today]"),
    ):
        command = option(command)
    return command


def _by(command: Command) -> Command:
    return click.option(
        "--by",
        "way",
        type=click.Choice(WAYS),
        default="words",
        show_default=True,
        help="Words alone; meaning too, from the extra 'search'; or in Chroma, from 'rag'.",
    )(command)


@click.group("law")
def command() -> None:
    """Look up, search and compare the regulations, dated and offline.

    12 CFR 1002 (Regulation B) with Supplement I and appendices, 12 CFR 1022 (Regulation V), and the sections of
    the Fair Credit Reporting Act that letters cite. No legal advice.
    """


@command.command("show")
@click.argument("citation")
@_options
def show(citation: str, day: datetime | None, folder: Path | None, as_json: bool) -> None:
    """Show the paragraphs of CITATION, such as 1002.9(b)(2) or "comment 9(b)(2)-4", as of a day."""
    law, at = _law(folder), _day(day)
    found = law.find(citation, at)
    if as_json:
        _print(
            {"as_of": at.isoformat(), "law_sha256": law.sha256, "paragraphs": [_json(one) for one in found]}
        )
        return
    click.echo("\n\n".join([_heading(law, at, found), *map(_shown, found)]))


@command.command("search")
@click.argument("question")
@click.option(
    "--limit", type=click.IntRange(1, 100), default=5, show_default=True, help="The most paragraphs."
)
@_by
@_options
def search(
    question: str, limit: int, way: Any, day: datetime | None, folder: Path | None, as_json: bool
) -> None:
    """Find the paragraphs that speak of QUESTION, in everyday words."""
    from lendsafe.law.ways import searching

    law, at = _law(folder), _day(day)
    with searching(law, at, way, _folder(folder), say=_say) as made:
        hits, beyond = made.find(question, limit), made.beyond(question)
    if as_json:
        _print(
            {
                "as_of": at.isoformat(),
                "law_sha256": law.sha256,
                "question": question,
                "beyond": beyond,
                "found": [{"score": round(hit.score, 4), **_json(hit.paragraph)} for hit in hits],
            }
        )
        return
    if not hits:
        click.echo(_nothing(law, at, beyond))
        return
    shown = [hit.paragraph for hit in hits]
    click.echo("\n\n".join([_heading(law, at, shown), *map(_shown, shown)]))


@command.command("as-of")
@click.argument("day", type=DAY, metavar="DAY")
@click.option("--law", "folder", type=PATH, help="Folder of refreshed texts.  [default: ~/.lendsafe/law]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def as_of(day: datetime, folder: Path | None, as_json: bool) -> None:
    """Say what of the law is at hand for DAY, and which rules changed it."""
    from lendsafe.law.citations import document_of
    from lendsafe.law.rows import as_json as sources

    law, at = _law(folder), _day(day)
    counts: dict[str, dict[str, int]] = {}
    for label in law.order:
        if (one := law.paragraph(label, at)).last_text or one.status == "not at hand":
            table = counts.setdefault(document_of(label), {})
            table[one.status] = table.get(one.status, 0) + 1
    rules = [one for one in law.amendments if one.day <= at]
    coming = [one for one in law.amendments if one.day > at]
    if as_json:
        _print(
            {
                "as_of": at.isoformat(),
                "law_sha256": law.sha256,
                "known_to": law.known_to.isoformat(),
                "paragraphs": counts,
                "snapshots": sources(law.snapshots),
                "amendments": [_rule(one) for one in rules],
                "later": [_rule(one) for one in coming],
            }
        )
        return
    lines = [_heading(law, at)]
    for name, table in counts.items():
        lines.append(f"{_named(name)}: " + ", ".join(f"{count} {status}" for status, count in table.items()))
    lines += [f"read  {one.day}  {one.source}" for one in law.snapshots]
    for head, some in (("rule ", rules), ("later", coming)):
        lines += [f"{head} {one.day}  {one.citation}: {one.summary}" for one in some]
    click.echo("\n".join(lines))


@command.command("diff")
@click.argument("citation")
@click.argument("first", type=DAY, metavar="FIRST")
@click.argument("second", type=DAY, metavar="SECOND")
@click.option("--law", "folder", type=PATH, help="Folder of refreshed texts.  [default: ~/.lendsafe/law]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def diff(citation: str, first: datetime, second: datetime, folder: Path | None, as_json: bool) -> None:
    """Show what of CITATION, comments included, is not the same on FIRST and SECOND."""
    from lendsafe.law import changes
    from lendsafe.law.citations import labels_in

    law, days = _law(folder), sorted((_day(first), _day(second)))
    named = labels_in(citation) or [citation]
    labels = [
        label for label in law.order if any(label == one or label.startswith(f"{one}-") for one in named)
    ]
    if not labels:
        law.find(citation, days[0])  # says what it does not know
    found = changes(law, labels, *days)
    _changes(found, f"{citation}, {days[0]} and {days[1]}", as_json)


@command.command("refresh")
@click.option("--from", "file", type=PATH, help="eCFR's XML of a part.")
@click.option("--ecfr", is_flag=True, help="Fetch it from www.ecfr.gov.")
@click.option("--day", type=DAY, metavar="DAY", help="Day of the text; with --ecfr, the newest by default.")
@click.option(
    "--part", type=click.Choice(["1002", "1022"]), default="1002", show_default=True, help="With --ecfr."
)
@click.option("--law", "folder", type=PATH, help="Folder of refreshed texts.  [default: ~/.lendsafe/law]")
@click.option("--site", default="", hidden=True, help="Address of the service.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def refresh(
    file: Path | None,
    ecfr: bool,
    day: datetime | None,
    part: str,
    folder: Path | None,
    site: str,
    as_json: bool,
) -> None:
    """Add the text of a day from a file or from eCFR, and show what it changed."""
    from lendsafe.law.refresh import refresh as read

    if (file is None) == (not ecfr):
        raise ConfigError("Name a file with --from FILE --day DAY, or fetch with --ecfr.")
    if file is not None and day is None:
        raise ConfigError(f"Say of which day {file} is: --day 2026-07-21.")
    done = read(_folder(folder), part, file=file, day=_day(day) if day else None, site=site or None)
    click.echo(f"{done.path}: {len(done.snapshot.rows)} paragraphs as of {done.snapshot.day}", err=True)
    _changes(done.changes, f"What the text of {done.snapshot.day} says that was not known", as_json)


@command.command("drift")
@_options
def drift(day: datetime | None, folder: Path | None, as_json: bool) -> None:
    """Compare the letters' statutory sentences with the law, character by character."""
    from lendsafe.pipeline.law import drift as compared

    law, at = _law(folder), _day(day)
    found = compared(law, at)
    counts: dict[str, int] = {}
    for one in found.sentences:
        counts[one.verdict] = counts.get(one.verdict, 0) + 1
    if as_json:
        from dataclasses import asdict

        _print({"as_of": at.isoformat(), "law_sha256": law.sha256, "counts": counts, **asdict(found)})
    else:
        lines = [f"{one.verdict:12} {one.where}: {one.text}" for one in found.sentences]
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        click.echo("\n".join([_heading(law, at), *lines, told]))
    if found.problems:
        raise GateError("; ".join(found.problems))


@command.command("ask")
@click.argument("question")
@click.option("--model", help="Run folder, name or local folder of a model; without, the paragraphs answer.")
@_by
@_options
def ask(
    question: str, model: str | None, way: Any, day: datetime | None, folder: Path | None, as_json: bool
) -> None:
    """Answer QUESTION with the law's own words, each sentence with its citation."""
    from lendsafe.law.ways import searching
    from lendsafe.pipeline.law import ask as answered

    law, at = _law(folder), _day(day)
    with searching(law, at, way, _folder(folder), say=_say) as made:
        found, beyond = answered(question, made, model), made.beyond(question)
    for one in found.refused:
        click.echo(f"Not shown: {one}", err=True)
    if as_json:
        _print(_answer(found, law))
        return
    if not found.paragraphs:
        click.echo(_nothing(law, at, beyond))
        return
    lines = [
        f"{one.text} ({'; '.join(part.citation for part in one.paragraphs)})" for one in found.sentences
    ] or list(map(_shown, found.paragraphs))
    click.echo("\n\n".join([_heading(law, at, found.paragraphs), *lines]))


def _law(folder: Path | None) -> "Law":
    from lendsafe.law import Law

    return Law.load(_folder(folder))


def _folder(folder: Path | None) -> Path:
    from lendsafe.law import default_folder

    return folder or default_folder()


def _day(day: datetime | None) -> date:
    return day.date() if day else date.today()


def _heading(law: "Law", at: date, shown: "Sequence[Paragraph]" = ()) -> str:
    from lendsafe.law import ADVICE

    known = min((one.known_to for one in shown), default=law.known_to)
    late = f"; amendments are known up to {known}" if at > known else ""
    return f"As of {at}{late}. {ADVICE}"


def _nothing(law: "Law", at: date, beyond: str) -> str:
    from lendsafe.law.answers import NOTHING

    other = f" It seems to be of another law: {beyond}." if beyond else ""
    return f"{_heading(law, at)}\n\n{NOTHING}{other}"


def _shown(one: "Paragraph") -> str:
    """A paragraph with its dates; what is not at hand says so and is not quoted."""
    from lendsafe.law.answers import in_words

    return in_words(one)


def _json(one: "Paragraph") -> dict[str, Any]:
    from lendsafe.law.answers import as_json

    return as_json(one)


def _changes(found: "list[Change]", title: str, as_json: bool) -> None:
    from lendsafe.law.store import marked

    if as_json:
        _print(
            {
                "changes": [
                    {"what": one.what, "before": _json(one.before), "after": _json(one.after)}
                    for one in found
                ]
            }
        )
        return
    lines = [f"{title}: {len(found)} paragraphs"]
    for one in found:
        if one.what == "changed":
            text = marked(one.before.text or "", one.after.text or "")
        else:
            text = one.after.text or one.after.note or one.before.text or ""
        lines.append(f"{one.after.citation}: {one.what}\n{text}".rstrip())
    click.echo("\n\n".join(lines))


def _answer(found: "Answer", law: "Law") -> dict[str, Any]:
    return {
        "as_of": found.day.isoformat(),
        "law_sha256": law.sha256,
        "question": found.question,
        "sentences": [
            {"text": one.text, "citations": [part.citation for part in one.paragraphs]}
            for one in found.sentences
        ],
        "paragraphs": [_json(one) for one in found.paragraphs],
        "refused": list(found.refused),
        "note": found.note,
    }


def _rule(one: Any) -> dict[str, Any]:
    return {
        "day": one.day.isoformat(),
        "citation": one.citation,
        "summary": one.summary,
        "changes": list(one.changes),
        "read": one.read,
    }


def _named(document: str) -> str:
    return "15 USC 1681" if document == "1681" else f"12 CFR {document}"


def _say(line: str) -> None:
    click.echo(line, err=True)


def _print(value: Any) -> None:
    from lendsafe.cli.output import as_json

    click.echo(as_json(value))
