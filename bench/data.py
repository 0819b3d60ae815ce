"""The default data set, as tokens for a model of any vocabulary."""

from dataclasses import dataclass

import numpy as np

from lendsafe.corpus.synth import SynthConfig, synthesize
from lendsafe.mlx_lora.exchange.loading import resolve
from lendsafe.mlx_lora.step.batches import windows
from lendsafe.mlx_lora.step.layout import common_prefix
from lendsafe.mlx_lora.tokens import Tokens, encode


def examples(
    count: int,
    *,
    vocabulary: int,
    tokenizer: str = "granite-tiny",
    shared_prefix: bool = True,
    seed: int = 42,
) -> list[Tokens]:
    """Training pairs as ``lendsafe data synth`` words them.

    Args:
        count: How many.
        vocabulary: Token ids are taken modulo this; with random weights only lengths and prefixes matter.
        tokenizer: Model whose tokenizer and chat template encode them.
        shared_prefix: Otherwise each begins with a token of its own: the same lengths, nothing in common.
        seed: Seed of the pairs.
    """
    from mlx_lm.utils import load_tokenizer

    encoder = load_tokenizer(resolve(tokenizer))
    rows = synthesize(SynthConfig(n=max(count, 100), seed=seed)).rows[:count]
    made = []
    for number, row in enumerate(rows):
        tokens = encode(encoder, row.example.messages, 512)
        ids = tokens.ids % vocabulary
        if not shared_prefix:
            ids[0] = number % vocabulary
        made.append(Tokens(ids.astype(np.int32), tokens.reply_start))
    return made


@dataclass(frozen=True)
class Sizes:
    """What a list of examples amounts to."""

    examples: int
    tokens: int
    learned: int
    prefix: int

    @classmethod
    def of(cls, batch: list[Tokens]) -> "Sizes":
        """Count them."""
        learned = sum(len(one) - one.reply_start for one in batch)
        return cls(len(batch), sum(map(len, batch)), learned, common_prefix(batch))

    def __str__(self) -> str:
        mean = self.tokens / self.examples
        return (
            f"{self.examples} examples of {mean:.0f} tokens,"
            f" {self.learned / self.examples:.0f} learned, {self.prefix} shared"
        )


def in_windows(made: list[Tokens], window: int) -> list[list[Tokens]]:
    """The optimiser windows of one epoch."""
    return [[made[i] for i in one] for one in windows(len(made), window, 42, 0)]
