"""``lendsafe product``: draft, check and show product files."""

from pathlib import Path

import click

PATH = click.Path(path_type=Path)


@click.group("product")
def command() -> None:
    """Draft and check the file that says what a lender's fields and reasons are."""


@command.command("new")
@click.argument("files", type=PATH, nargs=-1, required=True, metavar="FILE...")
@click.option("--out", type=PATH, help="TOML file to write; printed if not given.")
def new(files: tuple[Path, ...], out: Path | None) -> None:
    """Draft a product from a raw FILE of past applications (CSV, XLSX, JSON lines ...).

    Further files, such as new applications, add the columns that only they have. Each choice stands with its
    reason; a person reviews every line.
    """
    from lendsafe.errors import ExistsError
    from lendsafe.files import write_atomically
    from lendsafe.product.new import draft

    if out is not None and out.exists():
        raise ExistsError(f"{out} is there already. Choose another --out.")
    text = draft(*files)
    if out is None:
        click.echo(text, nl=False)
        return
    write_atomically(out, text)
    click.echo(f"{out}: {text.count(chr(10))} lines; {text.count('review')} to review")
    click.echo(f"Next: lendsafe product check {out} {files[0]}", err=True)


@command.command("check")
@click.argument("product")
@click.argument("file", type=PATH, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def check(product: str, file: Path | None, as_json: bool) -> None:
    """List all that PRODUCT lacks or leaves in doubt, tried on a raw FILE; show what each reason says."""
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.errors import ConfigError
    from lendsafe.product.check import check as checked

    found = checked(product, file)
    if found.product is not None:
        from dataclasses import replace

        from lendsafe.pipeline.products import unsendable
        from lendsafe.product.reader import Flaw

        more = tuple(Flaw(0, "words", one) for one in unsendable(found.product))
        found = replace(found, doubts=(*more, *found.doubts))
    if as_json:
        click.echo(
            to_json(
                {
                    "flaws": [str(one) for one in found.flaws],
                    "doubts": [str(one) for one in found.doubts],
                    "says": dict(found.says),
                    "read": found.read,
                }
            )
        )
    else:
        for title, listed in (("To mend", found.flaws), ("To look at", found.doubts)):
            if listed:
                click.echo(f"{title}:")
                for one in listed:
                    click.echo(f"  {one}")
        for code, says in found.says:
            click.echo(f"{code}: {says['statement']}")
            click.echo(f"  against: {says['against']}")
            click.echo(f"  in favor: {says['in_favor']}")
    if found.flaws:
        raise ConfigError(f"{product}: {len(found.flaws)} to mend before it can be used.")
    if not as_json:
        counted = f"; read {found.read['rows']:,} rows of {found.read['source']}" if found.read else ""
        click.echo(f"{product}: can be used; {len(found.doubts)} to look at{counted}")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def list_(as_json: bool) -> None:
    """The products that ship."""
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.product import PACKAGED, load

    rows = [
        {"name": name, "features": len((one := load(name)).features), "reasons": len(one.reasons)}
        for name in PACKAGED
    ]
    if as_json:
        click.echo(to_json({"products": rows}))
        return
    for row in rows:
        click.echo(f"{row['name']:<14}{row['features']:>3} features {row['reasons']:>3} reasons")


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of a product file."""
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.product import schema as of_products

    click.echo(to_json(of_products()))
