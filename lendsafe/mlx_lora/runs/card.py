"""The model card of a run: what it is, how it was made, how to load it."""

from pathlib import Path
from typing import Any

from lendsafe.files import write_atomically
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange.loading import Base

CARD = """---
base_model: {base}
library_name: peft
tags: [lora, mlx]
---

# LoRA adapter for {base}

Trained with LendSafe on Apple's MLX. Rank {rank}, alpha {alpha:g}, dropout {dropout:g}, targets {targets};
{trainable:,} trainable of {total:,} parameters.

| | |
|---|---|
| optimiser steps | {steps} |
| training loss, last epoch | {train_loss:.4f} |
| validation loss | {eval_loss} |
| peak memory | {peak:.2f} GB |

Settings, versions and the hashes of data and base are in `run.json`, every step in `metrics.jsonl`.

Load it in transformers with `PeftModel.from_pretrained(base, this_folder)`, in mlx-lm with
`mlx_lm.load(base, adapter_path=this_folder)`.

A language model writes wording, not decisions. Texts of this adapter are to be checked against the facts
before anyone reads them.
"""


def write_card(run: Path, base: Base, config: TrainConfig, summary: dict[str, Any]) -> None:
    """Write ``README.md`` of a run."""
    text = CARD.format(
        base=base.name,
        rank=config.rank,
        alpha=config.alpha,
        dropout=config.dropout,
        targets=", ".join(config.targets),
        trainable=summary["trainable_parameters"],
        total=summary["total_parameters"],
        steps=summary["total_steps"],
        train_loss=summary["train_loss"],
        eval_loss="none" if summary["eval_loss"] is None else f"{summary['eval_loss']:.4f}",
        peak=summary["peak_memory_gb"],
    )
    write_atomically(run / "README.md", text)
