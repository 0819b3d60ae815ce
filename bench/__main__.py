"""``python -m bench``: measure, keep, compare."""

import sys
from pathlib import Path
from typing import Any, get_args

import click

from lendsafe.cli.options import settings, settings_options
from lendsafe.errors import LendSafeError
from lendsafe.product.model import Register

PATH = click.Path(path_type=Path)

SETTINGS = (
    "batch_size",
    "grad_accum",
    "dropout",
    "precision",
    "quantize",
    "token_budget",
    "recompute",
    "targets",
    "learning_rate",
    "warmup_steps",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """What the work costs: time and memory, measured beside what a user would run instead."""


def model_options(command: Any) -> Any:
    """Options that say which model is measured."""
    command = click.option("--repetitions", default=5, show_default=True, help="Kept; one more warms up.")(
        command
    )
    command = click.option("--random-weights", is_flag=True, help="Draw the weights; nothing is fetched.")(
        command
    )
    return click.option("--model", default="granite-cpu", show_default=True, help="Shape, or model.")(command)


def _recipe(given: dict[str, Any]) -> Any:
    from lendsafe.mlx_lora.config import TrainConfig

    chosen = {name: given.pop(name) for name in list(given) if name in TrainConfig.__dataclass_fields__}
    return TrainConfig(**{"targets": ("attention",)} | {k: v for k, v in chosen.items() if v is not None})


def _drawn(model: str, random_weights: bool) -> bool:
    from bench.shapes import NAMED

    return random_weights or model in ("granite-cpu", "granite-toy", *NAMED)


@group.command()
@model_options
@click.option("--ablate", is_flag=True, help="Switch each technique off in turn instead.")
@click.option("--no-shared-prefix", is_flag=True, help="Give the examples nothing in common.")
@click.option("--against", default="mlx-lm,peft", show_default=True, help="Other trainers, or an empty text.")
@click.option("--without-ours", is_flag=True, help="Measure the others alone.")
def train(
    model: str,
    random_weights: bool,
    repetitions: int,
    ablate: bool,
    no_shared_prefix: bool,
    against: str,
    without_ours: bool,
    **given: Any,
) -> None:
    """Training steps, beside mlx-lm's trainer and transformers + PEFT."""
    from bench import train as bench

    case = bench.Case(
        model=model,
        random_weights=_drawn(model, random_weights),
        config=_recipe(given),
        shared_prefix=not no_shared_prefix,
        against=tuple(one for one in against.split(",") if one),
        ours=not without_ours,
        repetitions=repetitions,
    )
    bench.run(case, ablation=ablate, say=click.echo)


@group.command()
@click.option("--model", default="granite-tiny", show_default=True, help="Model.")
@click.option("--steps", default=255, show_default=True, help="Optimiser steps.")
@click.option("--examples", default=1350, show_default=True, help="Training rows.")
@click.option("--held-out", default=150, show_default=True, help="Rows to measure on.")
@click.option("--systems", default="lendsafe,mlx-lm,peft", show_default=True, help="Trainers.")
def quality(model: str, steps: int, examples: int, held_out: int, systems: str, **given: Any) -> None:
    """Loss, first-try pass rate and ROUGE-L after the same steps on the same data, ours and others."""
    from bench import quality as bench

    names = tuple(one for one in systems.split(",") if one)
    config = _recipe(given)
    bench.run(
        bench.Case(
            model=model, config=config, steps=steps, examples=examples, held_out=held_out, systems=names
        ),
        say=click.echo,
    )


@group.command()
@click.option("--model", default="granite-3.1-3b", show_default=True, help="Shape.")
def graph(model: str) -> None:
    """Kernels, nodes and host time of a window, counted without a GPU."""
    from bench import graph as bench

    bench.run(model, say=click.echo)


@group.command()
def probe() -> None:
    """Questions that only a device answers: what works, and which way is faster."""
    from bench import probe as bench

    bench.run(say=click.echo)


@group.command()
@click.option("--count", default=30, show_default=True, help="Configurations.")
def memory(count: int) -> None:
    """Peak memory of real steps against the planner's prediction."""
    from bench import memory as bench

    bench.run(count, say=click.echo)


@group.command()
@model_options
@click.option("--batches", default="1,2,4,8,16,32", show_default=True, help="Replies side by side.")
@click.option("--tokens", default=64, show_default=True, help="Tokens of a reply.")
def generate(
    model: str, random_weights: bool, repetitions: int, batches: str, tokens: int, **given: Any
) -> None:
    """Prompts to replies, beside mlx_lm.generate."""
    from bench import generate as bench

    sizes = [int(one) for one in batches.split(",")]
    bench.run(
        model,
        _drawn(model, random_weights),
        _recipe(given),
        sizes,
        tokens=tokens,
        repetitions=repetitions,
        say=click.echo,
    )


@group.command()
@click.option("--rows", default=2000, show_default=True, help="Applications.")
@click.option("--repetitions", default=5, show_default=True, help="Kept; one more warms up.")
def risk(rows: int, repetitions: int) -> None:
    """Applications scored and explained a second."""
    from bench import rooms as bench

    bench.risk(rows, repetitions=repetitions, say=click.echo)


@group.command("eval")
@click.option("--rows", default=200, show_default=True, help="Narratives.")
@click.option("--repetitions", default=5, show_default=True, help="Kept; one more warms up.")
def evaluation(rows: int, repetitions: int) -> None:
    """Narratives checked and scored a second."""
    from bench import rooms as bench

    bench.evaluation(rows, repetitions=repetitions, say=click.echo)


@group.command()
@click.option(
    "--model", default="granite-cpu", show_default=True, help="Shape; a model of it is written first."
)
@click.option("--precision", default="auto", show_default=True, help="Type to cast to.")
@click.option("--quantize", type=int, help="Bits to quantise to.")
@click.option("--repetitions", default=5, show_default=True, help="Kept; one more warms up.")
def load(model: str, precision: str, quantize: int | None, repetitions: int) -> None:
    """Seconds and peak memory to load and cast a model stored in float32."""
    from bench import load as bench

    bench.run(model, precision=precision, quantize=quantize, repetitions=repetitions, say=click.echo)


@group.command()
@click.option("--model", default="granite-cpu", show_default=True, help="Shape; its weights are drawn.")
@click.option("--repetitions", default=8, show_default=True, help="Kept; one more warms up.")
@click.option("--sizes", default="100,1000,10000", show_default=True, help="Training examples.")
def scaling(model: str, repetitions: int, sizes: str, **given: Any) -> None:
    """Cost of an epoch against the number of examples, and of starting."""
    from bench import scaling as bench

    counts = [int(one) for one in sizes.split(",")]
    bench.run(model, _recipe(given), counts, repetitions=repetitions, say=click.echo)


@group.command("real-base")
@click.option("--model", required=True, help="Base: granite-tiny, or a model folder.")
@click.option("--data", required=True, type=PATH, help="Folder that `lendsafe data synth` wrote.")
@click.option("--out", required=True, type=PATH, help="Folder of the run and the report.")
@click.option("--unused", metavar="CODE", help="Reason that no training pair may name.")
@click.option("--rows", default=20, show_default=True, help="Narratives of each group, at most.")
@click.option("--longest", type=int, help="Longest training row, in tokens.")
@click.option("--register", type=click.Choice(get_args(Register)), help="Rows of this register alone.")
@click.option("--retries", default=2, show_default=True, help="Further tries before the product's words.")
def real_base(**given: Any) -> None:
    """Fine-tune on a product's pairs; examine held-out narratives, and those of a reason never trained."""
    from bench import real_base as bench
    from lendsafe.mlx_lora.config import TrainConfig
    from lendsafe.mlx_lora.exchange.loading import recipe

    base = given.pop("model")
    config = settings(TrainConfig, given, defaults=recipe(base))
    bench.run(bench.Case(base=base, config=config, **given), say=click.echo)


@group.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True))
def compare(files: tuple[Path, ...]) -> None:
    """Compare two result files, before and after; without files, write the tables of README.md."""
    from bench import compare as bench

    if len(files) not in (0, 2):
        raise click.UsageError("Give two files of results, or none.")
    click.echo(bench.files(*files) if files else bench.write_readme())


def main() -> None:
    """Run, with one line for a mistake."""
    try:
        group.main(prog_name="python -m bench", standalone_mode=False)
    except LendSafeError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


if __name__ == "__main__":
    from lendsafe.mlx_lora.config import TrainConfig

    every = tuple(TrainConfig.__dataclass_fields__)
    ours = ((one, SETTINGS) for one in (train, generate, scaling, quality))
    for one, names in (*ours, (real_base, every)):
        one.params += [
            option
            for option in settings_options(TrainConfig)(click.command()(lambda: None)).params
            if option.name in names
        ]
    main()
