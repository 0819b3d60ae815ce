"""Every setting of a fine-tuning run, declared once: default, help text, flag and TOML key."""

from dataclasses import dataclass, fields
from typing import Literal

from lendsafe.errors import ConfigError
from lendsafe.fields import check, knob

RECIPE_STEPS, RECIPE_WARMUP = 255, 100
BITS = (2, 3, 4, 5, 6, 8)  # that MLX packs
# What the recipe asks for. Names that a model has no layer for are reported, not refused:
# in a mixture of experts gate, up and down are no linears.
DEFAULT_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig:
    """Which layers get an adapter, and its shape."""

    rank: int = knob(16, "Rank of the adapters.", low=1, high=1024)
    alpha: float = knob(32.0, "Adapter scale times rank.", low=0)
    dropout: float = knob(0.05, "Dropout on the adapters' input.", low=0, high=0.95)
    targets: tuple[str, ...] = knob(
        DEFAULT_TARGETS, "Layers to adapt: attention, experts, router, all, or layer names."
    )
    rslora: bool = knob(False, "Scale by alpha / sqrt(rank) instead of alpha / rank.")

    def __post_init__(self) -> None:
        check(self, ConfigError)

    @property
    def scale(self) -> float:
        """Factor of the low-rank product: alpha / rank, or alpha / sqrt(rank) (rsLoRA)."""
        return self.alpha / (self.rank**0.5 if self.rslora else self.rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(LoraConfig):
    """Settings of one fine-tuning run; saved beside the adapter it made."""

    epochs: int = knob(3, "Passes over the training examples.", low=1, high=1000)
    max_steps: int | None = knob(None, "Stop after this many optimiser steps.", low=1)
    batch_size: int = knob(4, "Examples per batch.", low=1, high=4096)
    grad_accum: int = knob(4, "Batches per optimiser step.", low=1, high=4096)
    learning_rate: float = knob(2e-4, "Peak learning rate.", low=0)
    schedule: Literal["linear", "cosine", "constant"] = knob(
        "linear", "The learning rate's way after the warm-up: to 0 in a line or half a cosine, or as it is."
    )
    warmup_steps: int | None = knob(
        None, "Steps of linear warm-up; 100 for 255 steps or more, else a tenth of the steps.", low=0
    )
    warmup_ratio: float | None = knob(None, "Warm-up as a share of the steps.", low=0, high=1)
    weight_decay: float = knob(0.0, "AdamW's decoupled weight decay.", low=0)
    clip_norm: float = knob(1.0, "Largest norm of the gradient; 0 switches clipping off.", low=0)
    max_length: int = knob(512, "Longest example.", unit="tokens", low=2)
    overlong: Literal["truncate", "drop", "refuse"] = knob(
        "truncate", "Cut replies that are too long, keeping their end mark, drop them, or refuse the file."
    )
    dedupe: bool = knob(False, "Drop rows that repeat another, instead of refusing the file.")
    valid_share: float = knob(
        0.1, "Share of the rows to validate on where the data names none; 0: none.", low=0, high=0.9
    )
    max_valid: int | None = knob(None, "Most rows to validate on.", low=1)
    turns: Literal["last", "all"] = knob("last", "Replies of a conversation to learn: its last one, or all.")
    control_tokens: Literal["text", "replies"] = knob(
        "text", "Control tokens' names in replies: plain text as everywhere, or the tokens."
    )
    chat_template: str | None = knob(None, "File with the chat template to use in place of the model's own.")
    revision: str | None = knob(None, "Branch, tag or commit of the model on the Hub.")
    precision: Literal["auto", "float16", "bfloat16", "float32"] = knob(
        "auto", "Type of base and activations; auto is float16 on a GPU, float32 on the CPU."
    )
    quantize: int | None = knob(None, "Quantise the base to this many bits (2, 3, 4, 5, 6 or 8).")
    token_budget: int | None = knob(
        None, "Tokens per micro-batch; changes memory and speed, never the gradient.", low=1
    )
    recompute: Literal["none", "experts", "layer"] = knob(
        "none", "Activations to recompute in the backward pass, to save memory."
    )
    seed: int = knob(42, "Seed of initial adapters, order and dropout.", low=0)
    eval_every: int = knob(50, "Steps between validations; 0: only at the end.", low=0)
    save_every: int = knob(200, "Steps between checkpoints.", low=1)
    keep: int = knob(3, "Checkpoints to keep, beside the best.", low=1)
    patience: int | None = knob(None, "Stop after this many validations without a better loss.", low=1)
    samples: int = knob(2, "Sample generations at every validation.", low=0, high=100)
    log_to: Literal["none", "tensorboard", "wandb", "mlflow"] = knob(
        "none", "Also log to this library, if it is installed."
    )

    def __post_init__(self) -> None:
        check(self, ConfigError)
        if self.quantize not in (None, *BITS):
            raise ConfigError(f"'quantize' is {self.quantize}; expected one of {', '.join(map(str, BITS))}")
        if self.warmup_steps is not None and self.warmup_ratio is not None:
            raise ConfigError("'warmup_steps' and 'warmup_ratio' say the same; give one of them")

    @property
    def window(self) -> int:
        """Examples per optimiser step."""
        return self.batch_size * self.grad_accum

    def warmup(self, total: int) -> int:
        """Steps of warm-up of a run of ``total`` optimiser steps.

        The recipe's 100 belong to the recipe's 255; a shorter run has a tenth of its steps.
        """
        if self.warmup_ratio is not None:
            return round(self.warmup_ratio * total)
        if self.warmup_steps is not None:
            return self.warmup_steps
        return RECIPE_WARMUP if total >= RECIPE_STEPS else total // 10


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceConfig(TrainConfig):
    """Settings of a run that goes on from another one and learns from that one's own replies."""

    learn_by: Literal["dpo", "rejection"] = knob(
        "dpo", "With --prefer: prefer accepted to rejected replies (DPO), or learn the accepted alone."
    )
    beta: float = knob(0.1, "With --prefer: how dear it is to leave the start (DPO).", low=1e-6, high=1e6)
    draws: int = knob(4, "With --prefer: replies drawn for each training prompt.", low=1, high=1000)
    draw_temperature: float = knob(1.0, "With --prefer: sampling temperature of the draws.", low=0.01, high=2)

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)

    @classmethod
    def own(cls) -> list[str]:
        """Names of the settings that an ordinary run does not have."""
        return [one.name for one in fields(cls) if one.name not in TrainConfig.__dataclass_fields__]
