"""What transformers and a model's files call the layers of mlx-lm's model.

mlx-lm keeps the names within a block and, for some architectures, gives what is before the blocks another name:
``model.h`` for GPT-2's ``transformer.h``, ``language_model.model`` for ``model.language_model``. The files tell.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from lendsafe.mlx_lora.exchange import loading, peft_layout

T = TypeVar("T")
# What transformers puts before the names of a file that was saved without its head.
_PREFIXES = dict.fromkeys(("gpt2", "gpt_bigcode", "gptj", "bloom", "falcon", "mpt"), "transformer") | {
    "gpt_neox": "gpt_neox"
}
TRANSPOSED = ("gpt2",)  # model types whose linear layers are stored (I, O)


@dataclass(frozen=True, slots=True)
class Names:
    """How the layers of one model are called elsewhere.

    Attributes:
        ours: What mlx-lm's names begin with.
        stored: What the files' names begin with instead.
        theirs: What transformers' names begin with instead.
        unknown: Linear layers that the files do not have under such a name.
    """

    ours: str
    stored: str
    theirs: str
    unknown: frozenset[str]

    def in_transformers(self, layers: Mapping[str, T]) -> dict[str, T]:
        """A table by mlx-lm's names as one by transformers'."""
        return {_swapped(name, self.ours, self.theirs): value for name, value in layers.items()}

    def from_transformers(self, layers: Mapping[str, T]) -> dict[str, T]:
        """The way back of :meth:`in_transformers`."""
        return {_swapped(name, self.theirs, self.ours): value for name, value in layers.items()}

    def in_files(self, layers: Mapping[str, T]) -> dict[str, T]:
        """A table by mlx-lm's names as one by the names of the files."""
        return {_swapped(name, self.ours, self.stored): value for name, value in layers.items()}


def names(base: loading.Base, layers: Collection[str]) -> Names:
    """Find out how layers of a base are called elsewhere.

    Args:
        base: With its files.
        layers: mlx-lm's names of linear layers.
    """
    kind = str(base.config.get("model_type"))
    stored = {
        name.removesuffix(".weight") for name in loading.stored_names(base.path) if name.endswith(".weight")
    }
    tails: dict[str, set[str]] = defaultdict(set)
    for name in stored:
        parts = name.split(".")
        for start in range(len(parts) - 1):
            tails[".".join(parts[start:])].add(name)
    heads = Counter(head for layer in layers if (head := _heads(layer, tails)))
    ours, theirs = heads.most_common(1)[0][0] if heads else ("", "")
    swapped = {layer: _swapped(layer, ours, theirs) for layer in layers}
    lost = {layer for layer, name in swapped.items() if name not in stored and not _placed(layer, kind)}
    found = theirs
    if ours == theirs and ours.startswith("language_model"):  # files that mlx-lm converted have its own names
        ours, theirs, found = "language_model.model", "language_model.model", "model.language_model"
    elif not theirs and kind in _PREFIXES:
        found = _PREFIXES[kind]
    return Names(ours, theirs, found, frozenset(lost))


def _heads(layer: str, tails: Mapping[str, set[str]]) -> tuple[str, str] | None:
    """What a layer's name and its name in the files begin with, before what they have in common."""
    parts = layer.split(".")
    for start in range(len(parts) - 1):
        tail = ".".join(parts[start:])
        if len(there := tails.get(tail, ())) == 1:
            other = next(iter(there))
            return layer.removesuffix(tail).rstrip("."), other.removesuffix(tail).rstrip(".")
    return None


def _swapped(name: str, before: str, after: str) -> str:
    if before == after:
        return name
    if before and not f"{name}.".startswith(f"{before}."):
        return name
    rest = name[len(before) :].lstrip(".") if before else name
    if not before and rest.startswith("lm_head"):
        return name
    return f"{after}.{rest}" if after else rest


def _placed(layer: str, kind: str) -> bool:
    """Whether the table of places says what a layer is a part of."""
    return any(
        f".{layer}".endswith(f".{part}")
        for table in peft_layout.PLACES.get(kind, {}).values()
        for place in table
        for part in place.parts
    )
