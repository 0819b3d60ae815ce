"""``lendsafe train``: fine-tune a model with LoRA, or resume a run."""

import sys
from pathlib import Path
from typing import Any

import click

from lendsafe.cli.options import config_option, settings, settings_options
from lendsafe.errors import ConfigError
from lendsafe.mlx_lora.config import PreferenceConfig, TrainConfig

PATH = click.Path(path_type=Path)


@click.command("train")
@click.option("--model", help="granite-tiny, granite-3.1-3b, a local folder, or a Hub id.")
@click.option("--data", type=PATH, help="Training file, or folder with train.jsonl and valid.jsonl.")
@click.option("--out", type=PATH, help="Folder of the run; new or empty.")
@click.option("--prefer", type=PATH, help="Go on from this run with what its own replies teach, checked.")
@click.option("--adapter", type=PATH, help="Adapter folder to go on from: ours, PEFT's or mlx-lm's.")
@click.option("--resume", type=PATH, help="Continue this run from its newest valid checkpoint.")
@click.option("--force", is_flag=True, help="Resume although base, data or a setting has changed.")
@click.option("--supervise", is_flag=True, help="Restart the training process if it is killed.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@config_option
@settings_options(PreferenceConfig)
def command(**given: Any) -> None:
    """Fine-tune a model with LoRA."""
    if given.pop("supervise"):
        sys.exit(_supervised(given))
    from lendsafe.mlx_lora.runs.parallel import Parallel
    from lendsafe.pipeline import preferring, training

    arguments = _arguments(given)
    result = preferring.prefer(**arguments) if "start" in arguments else training.train(**arguments)
    if not Parallel().leads:
        return
    if given["as_json"]:
        from lendsafe.cli.output import as_json

        click.echo(as_json(result))
        return
    best = "" if result.best_loss is None else f", best validation loss {result.best_loss:.4f}"
    click.echo(f"{result.run}: {result.steps} steps, training loss {result.train_loss:.4f}{best}")


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Arguments of the pipeline's ``train`` or ``prefer``, from the flags or from the run to go on with."""
    from lendsafe.mlx_lora.exchange import loading
    from lendsafe.mlx_lora.runs.record import read, read_settings_as

    common: dict[str, Any] = {"force": given["force"], "quiet": given["quiet"]}
    start = read(given["resume"]).get("start", {}).get("run") if given["resume"] else given["prefer"]
    kind = PreferenceConfig if start else TrainConfig
    if start:
        common["start"] = Path(start)
    elif alone := [one for one in PreferenceConfig.own() if given.pop(one) is not None]:
        raise ConfigError(f"--{alone[0].replace('_', '-')} is for --prefer RUN.")
    if given["resume"]:
        before, model, data = read_settings_as(kind, given["resume"])
        now = {name: getattr(before, name) for name in kind.__dataclass_fields__}
        config = settings(kind, given, given["config"], now)
        if given["adapter"]:
            raise ConfigError("--resume and --adapter exclude each other: a run goes on from its checkpoint.")
        return common | {
            "model": given["model"] or model,
            "data": given["data"] or Path(data),
            "config": config,
            "out": given["resume"],
            "resume": True,
        }
    if start:
        return common | _preferring(given)
    missing = [f"--{name}" for name in ("model", "data", "out") if not given[name]]
    if missing:
        raise ConfigError(f"Missing {', '.join(missing)}. Or continue a run with --resume RUN.")
    config = settings(TrainConfig, given, given["config"], loading.recipe(given["model"]))
    return common | {
        "model": given["model"],
        "data": given["data"],
        "config": config,
        "out": given["out"],
        "adapter": given["adapter"],
        "resume": False,
    }


def _preferring(given: dict[str, Any]) -> dict[str, Any]:
    from lendsafe.mlx_lora.runs.preference import recipe
    from lendsafe.mlx_lora.runs.record import read_settings

    if not given["out"]:
        raise ConfigError("Missing --out. Or continue a run with --resume RUN.")
    _, model, data = read_settings(given["prefer"])
    return {
        "model": given["model"] or model,
        "data": given["data"] or Path(data),
        "config": settings(PreferenceConfig, given, given["config"], recipe(given["prefer"])),
        "out": given["out"],
        "resume": False,
    }


def _supervised(given: dict[str, Any]) -> int:
    from lendsafe.mlx_lora.runs.supervise import supervise

    arguments = _arguments(dict(given))
    config = arguments["config"]
    budget = config.token_budget or config.batch_size * config.max_length
    own = [one for one in sys.argv[sys.argv.index("train") + 1 :] if one != "--supervise"]
    return supervise(own, arguments["out"], budget, say=lambda line: click.echo(line, err=True))
