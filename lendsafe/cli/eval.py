"""``lendsafe eval``: generate, check and score held-out explanations."""

from pathlib import Path
from typing import Any

import click

from lendsafe.cli.options import config_option, settings, settings_options
from lendsafe.pipeline.settings import EvalConfig, GenerateConfig

PATH = click.Path(path_type=Path)


@click.command("eval")
@click.argument("sources", nargs=-1, metavar="[RUN|MODEL|PREDICTIONS]...")
@click.option("--model", help="Evaluate a model without an adapter: granite-tiny, a folder, or a Hub id.")
@click.option("--data", type=PATH, help="Data with held-out rows; a run's own data by default.")
@click.option("--out", type=PATH, help="Folder of the results; RUN/eval by default.")
@click.option("--baseline/--no-baseline", default=True, help="Also score base, template and grammar.")
@click.option("--allow-train-rows", is_flag=True, help="Score rows that the run was trained on.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@config_option
@settings_options(GenerateConfig)
@settings_options(EvalConfig)
def command(**given: Any) -> None:
    """Generate and score held-out explanations: runs, models and files of predictions, side by side."""
    from lendsafe.cli.output import as_json, table
    from lendsafe.cli.progress import counter
    from lendsafe.pipeline.compare import compare_into

    summary = compare_into(
        given["out"],
        [*given["sources"], *([given["model"]] if given["model"] else [])],
        given["data"],
        settings(EvalConfig, given),
        settings(GenerateConfig, given),
        baselines=given["baseline"],
        allow_train_rows=given["allow_train_rows"],
        done=counter("narratives"),
    )
    click.echo(as_json(summary) if given["as_json"] else table(summary))
