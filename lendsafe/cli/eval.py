"""``lendsafe eval``: generate, check and score held-out explanations."""

from pathlib import Path
from typing import Any

import click

from lendsafe.cli.options import settings

PATH = click.Path(path_type=Path)


@click.command("eval")
@click.argument("run", type=PATH, required=False)
@click.option("--model", help="Evaluate a model without an adapter instead of a run.")
@click.option("--data", type=PATH, help="Data with held-out rows; a run's own data by default.")
@click.option("--out", type=PATH, help="Folder of the results; RUN/eval by default.")
@click.option("--baseline/--no-baseline", default=True, help="Also score the base before fine-tuning.")
@click.option("--allow-train-rows", is_flag=True, help="Score rows that the run was trained on.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--encoder", help="BERTScore's encoder: a name in the Hub's cache, or a local folder.")
@click.option("--encoder-layer", type=int, help="Layer of the encoder; needed for a local folder.")
@click.option("--limit", type=int, help="Score only this many rows.")
def command(**given: Any) -> None:
    """Generate and score held-out explanations."""
    from lendsafe.cli.output import as_json, table
    from lendsafe.cli.progress import counter
    from lendsafe.errors import ConfigError
    from lendsafe.mlx_lora.run import read_settings
    from lendsafe.pipeline import evaluate
    from lendsafe.pipeline.narrate import narrator

    run, model = given["run"], given["model"]
    if (run is None) == (model is None):
        raise ConfigError("Name a run, or a model with --model.")
    data = given["data"] or (Path(read_settings(run)[2]) if run else None)
    out = given["out"] or (run / "eval" if run else None)
    if data is None or out is None:
        raise ConfigError("--model needs --data and --out.")
    chosen = {k: given[k] for k in ("encoder", "encoder_layer", "limit")}
    config = settings(evaluate.EvalConfig, chosen)
    rows = evaluate.held_out(data, run, limit=config.limit, allow_train_rows=given["allow_train_rows"])
    before = narrator(read_settings(run)[1]) if run and given["baseline"] else None
    writer = narrator(str(run or model))
    result = evaluate.evaluate(
        writer, rows, config, name=str(run.name if run else model), before=before, done=counter("narratives")
    )
    summary = evaluate.write(out, result, run)
    click.echo(as_json(summary) if given["as_json"] else table(summary))
