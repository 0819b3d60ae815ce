"""``lendsafe demo``: the whole flow on granite-tiny, offline."""

from pathlib import Path

import click


@click.command("demo")
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo"), help="New or empty folder.")
@click.option("--quick", is_flag=True, help="Train 120 of the 255 steps.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(out: Path, quick: bool, as_json: bool) -> None:
    """Run the whole flow on granite-tiny, offline."""
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.cli.output import table
    from lendsafe.demo import demo

    result = demo(out, quick=quick, say=lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(to_json(result))
        return
    click.echo(table(result.summary))
    click.echo(f"\n{result.explanation}\n\nLetter: {result.letter}")
