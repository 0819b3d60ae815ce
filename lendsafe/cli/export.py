"""``lendsafe export``: adapters and fused models that other tools load."""

from pathlib import Path
from typing import Any

import click


@click.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(["peft", "mlx", "fused"]), required=True, help="Form to write.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write; new or empty.")
@click.option("--base", "--model", "model", help="The base, if it is not where it was.")
@click.option(
    "--transformers",
    type=click.Choice(["5", "4"]),
    default="5",
    help="Major version whose names of experts PEFT's files use.  [default: 5]",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float16", "bfloat16", "float32"]),
    default="auto",
    help="Type of a fused model's weights; auto is the base's own.  [default: auto]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(run: Path, transformers: str, as_json: bool, **given: Any) -> None:
    """Write the adapter of RUN, or the model it makes of its base, and verify it by loading it back."""
    from lendsafe.cli import output
    from lendsafe.mlx_lora.exchange.export import export

    done = export(run, transformers=int(transformers), **given)
    if as_json:
        click.echo(output.as_json(done))
        return
    how = f"verified by {done.by}" if done.by else f"loaded back here only ({done.unchecked})"
    click.echo(f"{done.path}: {done.to}, {how}; its logits differ by {done.error:.1e}")
