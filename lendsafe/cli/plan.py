"""``lendsafe plan``: peak memory and time of a run, and what would fit."""

from pathlib import Path
from typing import Any

import click

from lendsafe.cli.options import config_option, settings, settings_options
from lendsafe.mlx_lora.config import TrainConfig


@click.command("plan")
@click.option("--model", default="granite-3.1-3b", show_default=True, help="Name, local folder, or Hub id.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Training file or folder; without it, 1,350 examples of --max-length tokens.",
)
@click.option("--memory", help="Memory of a Mac that is not at hand, such as 8GB; needs --chip.")
@click.option("--chip", help="Chip of that Mac, such as M2 or 'M3 Pro'.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
@settings_options(TrainConfig)
def command(
    model: str,
    data: Path | None,
    memory: str | None,
    chip: str | None,
    as_json: bool,
    config: Path | None,
    **given: Any,
) -> None:
    """Predict memory and time of a run, and what would fit."""
    from lendsafe.mlx_lora.exchange import loading
    from lendsafe.pipeline import planning

    wanted = settings(TrainConfig, given, config, loading.recipe(model))
    forecast = planning.forecast(model, wanted, data=data, memory=memory, chip=chip)
    if as_json:
        from lendsafe.cli.output import as_json as to_json

        click.echo(to_json(forecast))
        return
    click.echo(planning.text(forecast))
