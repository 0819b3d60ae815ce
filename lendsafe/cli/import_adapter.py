"""``lendsafe import-adapter``: turn a PEFT or mlx-lm adapter into a run."""

from pathlib import Path

import click


@click.command("import-adapter")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="The base it was trained on: a name, local folder, or Hub id.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the run; new or empty."
)
@click.option("--precision", default="auto", help="Type to load the base in.  [default: auto]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(folder: Path, model: str, out: Path, precision: str, as_json: bool) -> None:
    """Turn an adapter that PEFT or mlx-lm wrote into a run folder."""
    from dataclasses import asdict

    from lendsafe.cli import output
    from lendsafe.mlx_lora.exchange import foreign, loading

    config = foreign.import_adapter(folder, loading.load(model, precision=precision), out)
    if as_json:
        click.echo(output.as_json({"run": out} | asdict(config)))
        return
    click.echo(f"{out}: rank {config.rank}, alpha {config.alpha:g}, targets {', '.join(config.targets)}")
