"""Two ways from a micro-batch to hidden states and logits: packed where the architecture is known, else padded."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import mlx.core as mx
import mlx.nn as nn

from lendsafe.mlx_lora.step import architectures, layout
from lendsafe.mlx_lora.step.layout import Arrays, Extent, Layout
from lendsafe.mlx_lora.step.packed import Packed
from lendsafe.mlx_lora.step.recompute import recomputed
from lendsafe.mlx_lora.step.rows import move
from lendsafe.mlx_lora.step.techniques import Techniques
from lendsafe.mlx_lora.tokens import Tokens


class Forward(Protocol):
    """The forward pass of one model, up to the logits of chosen positions.

    Shapes: M learned positions, D hidden, V vocabulary.

    Attributes:
        vocabulary: V, or about that; how many rows are projected together depends on it.
    """

    vocabulary: int

    def layout(self, batch: Sequence[Tokens]) -> Layout:
        """Where the tokens of a micro-batch sit; ``targets``, and ``counted`` where not all of them count."""

    def hidden(self, extent: Extent, arrays: Arrays) -> mx.array:
        """Hidden states of the learned positions, ``(M, D)``."""

    def logits(self, hidden_MD: mx.array) -> mx.array:
        """Logits of hidden states, ``(M, V)``."""


def forward_of(model: nn.Module, techniques: Techniques) -> Forward:
    """The packed way where it is wanted and the architecture is known, else the padded one."""
    if techniques.packed and supports(model):
        return Packed(model, techniques)
    return Padded(model, techniques)


def supports(model: nn.Module) -> bool:
    """Whether the packed way knows this model's layers."""
    return hasattr(model, "args") and architectures.known(vars(model.args)) is not None


def vocabulary_of(model: nn.Module) -> int:
    """V: rows of the first embedding table."""
    tables = (
        one for _, one in model.named_modules() if isinstance(one, nn.Embedding | nn.QuantizedEmbedding)
    )
    return int(next(tables).weight.shape[0])


class Padded:
    """Through the model's own forward pass, for every architecture; only what is learned is projected.

    Args:
        model: mlx-lm model, adapted or not.
        techniques: What of it is asked for: sizes rounded up, recomputation.
    """

    def __init__(self, model: nn.Module, techniques: Techniques) -> None:
        self._text = model.get("language_model", model)
        self._techniques = techniques
        self.vocabulary = vocabulary_of(model)

    def layout(self, batch: Sequence[Tokens]) -> Layout:
        """One sequence a row, padded on the right; causal attention never looks there."""
        return layout.padded(batch, rounded=self._techniques.buckets)

    def hidden(self, extent: Extent, arrays: Arrays) -> mx.array:  # noqa: ARG002  # the arrays say it all
        """Hidden states of the learned positions; logits, if the model has no part that ends in hidden states."""
        core = self._core()
        with recomputed(self._text, self._techniques.recompute):
            out = self._text(arrays["tokens"]) if core is None else core(arrays["tokens"])
        return move(out.reshape(-1, out.shape[-1]), arrays["learned"])

    def logits(self, hidden_MD: mx.array) -> mx.array:
        """What the model's own forward pass makes of hidden states after its last norm."""
        core = self._core()
        if core is None:
            return hidden_MD
        with _standing_for(core, hidden_MD[None]):
            logits: mx.array = self._text(mx.zeros((1, hidden_MD.shape[0]), mx.int32))
        return logits[0]

    def _core(self) -> Any:
        return self._text.get("model")


@contextmanager
def _standing_for(module: Any, result: mx.array) -> Iterator[None]:
    """Let calls of one instance give a result; its class comes back at the end, and no other instance notices."""
    kind = type(module)
    module.__class__ = type(kind.__name__, (kind,), {"__call__": lambda *_, **__: result})
    try:
        yield
    finally:
        module.__class__ = kind
