"""``lendsafe doctor``: machine, back end, versions, and what is missing or slow."""

import click


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Report machine, back end, versions, and what is missing or slow."""
    from lendsafe.cli.output import as_json as to_json
    from lendsafe.mlx_lora.doctor import examine

    report = examine()
    if as_json:
        click.echo(to_json(report))
        return
    for name, value in report.facts.items():
        click.echo(f"{name:<22} {value}")
    for finding in report.findings:
        click.echo(f"! {finding}")
    if not report.findings:
        click.echo("Nothing is missing or slow.")
