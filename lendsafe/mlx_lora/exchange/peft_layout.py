"""Where PEFT keeps what mlx-lm's adapter layout keeps: the same numbers under other names and shapes.

A linear layer of mlx-lm has ``lora_a`` (I, R) and ``lora_b`` (R, O); PEFT's ``lora_A`` and ``lora_B`` are
their transposes. A stack of experts has (E, R, I) and (E, O, R). transformers holds the stack in one bare
parameter, gate and up fused into one, which PEFT adapts through ``target_parameters``:

- gate and up have an adapter each, so the fused one has their ranks' sum: A is one on top of the other, B is
  block-diagonal. If both have the same A, it is kept once.
- The experts are flattened, A expert-major to (E R, I), B rank-major and expert-minor to (O, R E).
- Two adapted parameters of one module are nested; the module's last parameter is outermost.
- Bare parameters share one rank, filled up with zeros: PEFT 0.21 reports ``rank_pattern`` names of parameters
  as not found, although it obeys them. Linear layers keep their own rank through ``rank_pattern``.

Shapes: E experts, I input, O output, R rank.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lendsafe.errors import RefusedError
from lendsafe.mlx_lora.step import architectures
from lendsafe.mlx_lora.step.architectures.record import Place

TRANSFORMERS = (5, 4)  # major versions whose names are known, the default first
PREFIX = "base_model.model."
VERSION = (
    0,
    19,
)  # of PEFT, the first with this layout of experts; earlier ones have input and output swapped


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The two factors of one correction, ``B @ A``, float32.

    Attributes:
        a: (R, I), or (E, R, I) for a stack of experts.
        b: (O, R), or (E, O, R).
    """

    a: np.ndarray
    b: np.ndarray

    @property
    def rank(self) -> int:
        """R."""
        return int(self.a.shape[-2])

    @property
    def stacked(self) -> bool:
        """Whether it corrects a stack of experts."""
        return self.a.ndim == 3


PLACES: dict[str, Mapping[int, tuple[Place, ...]]] = {
    kind: family.places for kind, family in architectures.every().items()
}


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight of transformers' model, by its full name."""

    module: str
    parameter: str = ""

    @property
    def name(self) -> str:
        """Module and parameter, as PEFT's patterns match them."""
        return f"{self.module}.{self.parameter}" if self.parameter else self.module


def pairs(arrays: Mapping[str, np.ndarray]) -> dict[str, Pair]:
    """mlx-lm's adapter arrays as factors, by layer."""
    found = {}
    for layer in sorted({name.rpartition(".")[0] for name in arrays}):
        a, b = arrays[f"{layer}.lora_a"], arrays[f"{layer}.lora_b"]
        found[layer] = Pair(a, b) if a.ndim == 3 else Pair(a.T, b.T)
    return found


def arrays(layers: Mapping[str, Pair]) -> dict[str, np.ndarray]:
    """The way back of :func:`pairs`."""
    found = {}
    for layer, pair in layers.items():
        stored = pair if pair.stacked else Pair(pair.a.T, pair.b.T)
        found[f"{layer}.lora_a"] = np.ascontiguousarray(stored.a, np.float32)
        found[f"{layer}.lora_b"] = np.ascontiguousarray(stored.b, np.float32)
    return found


def unplaced(layers: Mapping[str, Pair], model_type: str, transformers: int = TRANSFORMERS[0]) -> list[str]:
    """Layers that PEFT has no place for: experts of an architecture that is not in the table."""
    table = PLACES.get(model_type, {}).get(transformers, ())
    return [name for name, pair in layers.items() if pair.stacked and not _find_part(name, table)]


def weight_of(layer: str, model_type: str, transformers: int) -> Weight:
    """The weight of transformers' model that a layer of mlx-lm's is, or is a part of."""
    found = _find_part(layer, PLACES.get(model_type, {}).get(transformers, ()))
    return Weight(found[1] + found[0].module, found[0].parameter) if found else Weight(layer)


def fused(
    layers: Mapping[str, Pair], outputs: Mapping[str, int], model_type: str, transformers: int
) -> dict[Weight, Pair]:
    """Corrections of mlx-lm's layers as corrections of transformers' weights.

    Args:
        layers: Factors by layer.
        outputs: O of every adaptable layer, for parts that have no adapter.
        model_type: ``model_type`` of the base's configuration.
        transformers: Major version whose names to use.

    Raises:
        RefusedError: If a layer has no place in PEFT.
    """
    if lost := unplaced(layers, model_type, transformers):
        raise RefusedError(
            f"'{lost[0]}': the experts of a '{model_type}' have no known place in PEFT with transformers"
            f" {transformers}.x. Export with --to mlx instead."
        )
    table = PLACES.get(model_type, {}).get(transformers, ())
    layers = {layer: trim(pair) for layer, pair in layers.items()}
    whole: dict[Weight, Pair] = {}
    for layer, pair in layers.items():
        weight = weight_of(layer, model_type, transformers)
        found = _find_part(layer, table)
        if weight not in whole:
            names = [found[1] + part for part in found[0].parts] if found else [layer]
            whole[weight] = pair if len(names) == 1 else _stack(layers, names, outputs)
    largest = max((pair.rank for weight, pair in whole.items() if weight.parameter), default=0)
    return {w: pad(pair, largest) if w.parameter else pair for w, pair in whole.items()}


def tensors(whole: Mapping[Weight, Pair], model_type: str, transformers: int) -> dict[str, np.ndarray]:
    """Tensors of PEFT's ``adapter_model.safetensors``."""
    order = [place.parameter for place in PLACES.get(model_type, {}).get(transformers, ())]
    found = {}
    for weight, pair in whole.items():
        siblings = [one.parameter for one in whole if one.module == weight.module]
        depth = sum(order.index(one) > order.index(weight.parameter) for one in siblings if weight.parameter)
        name = f"{PREFIX}{weight.module}{'.base_layer' * depth}"
        a, b = pair.a, pair.b
        if pair.stacked:
            a, b = a.reshape(-1, a.shape[-1]), b.transpose(1, 2, 0).reshape(b.shape[1], -1)
        found[f"{name}.lora_A.weight"] = np.ascontiguousarray(a, np.float32)
        found[f"{name}.lora_B.weight"] = np.ascontiguousarray(b, np.float32)
    return found


def read_tensors(
    stored: Mapping[str, np.ndarray], parameters: Collection[str], model_type: str
) -> dict[Weight, tuple[np.ndarray, np.ndarray]]:
    """PEFT's tensors by the weight that they correct, still flat.

    Args:
        stored: Tensors of ``adapter_model.safetensors``.
        parameters: ``target_parameters`` of the configuration: they say which parameters are nested.
        model_type: ``model_type`` of the base's configuration.

    Raises:
        RefusedError: Naming a tensor that is no LoRA factor, or whose other factor is missing.
    """
    sides: dict[Weight, dict[str, np.ndarray]] = {}
    for name, tensor in stored.items():
        match = re.fullmatch(
            re.escape(PREFIX) + r"(.+?)((?:\.base_layer)*)\.lora_([AB])\.weight", name, re.DOTALL
        )
        if not match or tensor.ndim != 2:
            raise RefusedError(f"tensor '{name}' is no LoRA factor of a linear layer or of experts")
        module, nesting, side = match.groups()
        weight = _weight_at(module, nesting.count(".base_layer"), parameters, model_type)
        sides.setdefault(weight, {})[side] = tensor
    for weight, both in sides.items():
        if len(both) != 2:
            raise RefusedError(f"'{weight.name}' has lora_{next(iter(both))} alone")
    return {weight: (both["A"], both["B"]) for weight, both in sides.items()}


def split(
    whole: Mapping[Weight, tuple[np.ndarray, np.ndarray]],
    shapes: Mapping[str, tuple[int, ...]],
    ranks: Mapping[Weight, int],
    model_type: str,
    *,
    swapped: bool = False,
) -> dict[str, Pair]:
    """Corrections of transformers' weights as corrections of mlx-lm's layers: the way back of :func:`fused`.

    Args:
        whole: Flat factors by weight.
        shapes: (O, I), or (E, O, I), of every adaptable layer of mlx-lm's model.
        ranks: Rank of each weight, as configured.
        model_type: ``model_type`` of the base's configuration.
        swapped: Whether a PEFT before :data:`VERSION` wrote the factors of experts.

    Raises:
        RefusedError: Naming a weight that the model does not have, or whose shape does not fit.
    """
    layers: dict[str, Pair] = {}
    for weight, (a, b) in whole.items():
        names = _parts_of(weight, shapes, model_type)
        if missing := [name for name in names if name not in shapes]:
            raise RefusedError(f"'{weight.name}': this model has no layer '{missing[0]}'")
        if swapped and len(shapes[names[0]]) == 3:
            a, b = _swapped_back(a, b, ranks[weight])
        cut = _cut(weight, a, b, [shapes[name] for name in names], ranks[weight])
        parts = zip(names, cut, strict=True)
        layers |= {name: pair for name, pair in parts if pair is not None}
    return layers


def config(
    whole: Mapping[Weight, Pair], every: Collection[Weight], *, scale: float, rslora: bool
) -> dict[str, Any]:
    """The keys of PEFT's configuration that say what is adapted, and with which rank and alpha.

    Args:
        whole: Factors by weight, as :func:`fused` gives them.
        every: All weights of the model, so that a short name selects no other.
        scale: Factor of every correction.
        rslora: Whether alpha is divided by the root of the rank.
    """
    names = [weight.name for weight in every]
    linears = {weight.name: pair.rank for weight, pair in whole.items() if not weight.parameter}
    bare = {weight.name: pair.rank for weight, pair in whole.items() if weight.parameter}
    rank = Counter((bare or linears).values()).most_common(1)[0][0]
    patterns: dict[str, int] = {}
    for other in sorted(set(linears.values()) - {rank}):
        chosen = [name for name, one in linears.items() if one == other]
        patterns |= dict.fromkeys(shortest_names(chosen, list(linears)), other)
    found = {
        "r": rank,
        "lora_alpha": alpha(scale, rank, rslora=rslora),
        "use_rslora": rslora,
        "rank_pattern": patterns,
        "alpha_pattern": {name: alpha(scale, other, rslora=rslora) for name, other in patterns.items()},
        "target_modules": shortest_names(linears, names),
    }
    return found | ({"target_parameters": shortest_names(bare, names, 3)} if bare else {})


def alpha(scale: float, rank: int, *, rslora: bool) -> float:
    """Alpha that gives a scale at a rank; whole numbers as integers, as PEFT writes them."""
    value = scale * (rank**0.5 if rslora else rank)
    return int(value) if value == int(value) else value


def shortest_names(chosen: Collection[str], every: Collection[str], least: int = 1) -> list[str]:
    """Shortest dotted endings, of at least ``least`` words, that select ``chosen`` alone out of ``every``."""
    taken = {ending for name in set(every) - set(chosen) for ending in _endings(name, 1)}
    return sorted({next((e for e in _endings(n, least) if e not in taken), n) for n in chosen})


def pad(pair: Pair, rank: int) -> Pair:
    """Fill up to a rank with zeros: the same correction."""
    missing = rank - pair.rank
    before = [(0, 0)] * (pair.a.ndim - 2)
    return Pair(
        np.pad(pair.a, [*before, (0, missing), (0, 0)]), np.pad(pair.b, [*before, (0, 0), (0, missing)])
    )


def trim(pair: Pair) -> Pair:
    """Drop the last ranks in which both factors are zero: the way back of :func:`pad`."""
    used = np.abs(pair.a).sum(axis=-1) + np.abs(pair.b).sum(axis=-2)  # (..., R)
    last = np.flatnonzero(used.reshape(-1, pair.rank).any(axis=0))
    rank = int(last[-1]) + 1 if last.size else 1
    return Pair(pair.a[..., :rank, :], pair.b[..., :rank])


def _endings(name: str, least: int) -> Iterator[str]:
    words = name.split(".")
    for count in range(min(least, len(words)), len(words) + 1):
        yield ".".join(words[-count:])


def _find_part(layer: str, table: Collection[Place]) -> tuple[Place, str] | None:
    """The place of a layer of mlx-lm's model, and what comes before it in the full name."""
    for place in table:
        for part in place.parts:
            if layer == part or layer.endswith("." + part):
                return place, layer.removesuffix(part)
    return None


def _stack(layers: Mapping[str, Pair], names: list[str], outputs: Mapping[str, int]) -> Pair:
    """One correction of a fused weight from those of its parts."""
    present = [layers[name] for name in names if name in layers]
    shared = len(present) > 1 and all(np.array_equal(p.a, q.a) for p, q in pairwise(present))
    like = present[0]
    rank = like.rank if shared else sum(pair.rank for pair in present)
    a = like.a if shared else np.concatenate([pair.a for pair in present], axis=-2)
    rows, column = [], 0
    for name in names:
        block = np.zeros((*like.b.shape[:-2], outputs[name], rank), np.float32)
        if name in layers:
            pair = layers[name]
            block[..., column : column + pair.rank] = pair.b
            column += 0 if shared else pair.rank
        rows.append(block)
    return Pair(a, np.concatenate(rows, axis=-2))


def _weight_at(module: str, depth: int, parameters: Collection[str], model_type: str) -> Weight:
    """The weight that factors at ``module``, nested ``depth`` deep, correct."""
    candidates = [
        place.parameter
        for table in PLACES.get(model_type, {}).values()
        for place in table
        if place.parameter and f".{module}".endswith(f".{place.module}")
    ]
    nested = [
        name
        for name in candidates
        if any(f".{module}.{name}".endswith(f".{target}") for target in parameters)
    ]
    if depth < len(nested):
        return Weight(module, nested[len(nested) - 1 - depth])
    if depth == 0:
        return Weight(module)
    raise RefusedError(f"'{module}' holds more factors than 'target_parameters' names")


def _parts_of(weight: Weight, shapes: Mapping[str, tuple[int, ...]], model_type: str) -> list[str]:
    """The layers of mlx-lm's model that a weight is made of."""
    if weight.module in shapes and not weight.parameter:
        return [weight.module]
    for table in PLACES.get(model_type, {}).values():
        for place in table:
            if place.parameter == weight.parameter and f".{weight.module}".endswith(f".{place.module}"):
                stem = weight.module.removesuffix(place.module)
                return [stem + part for part in place.parts]
    return [weight.module]


def _swapped_back(a: np.ndarray, b: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat factors of experts as PEFT has them now, from (E R, O) and (I, R E)."""
    outputs, inputs = a.shape[1], b.shape[0]
    if a.shape[0] != b.shape[1] or a.shape[0] % rank:
        return a, b  # it fits neither way, and is refused for that
    new_a = b.reshape(inputs, rank, -1).transpose(2, 1, 0)  # (E, R, I)
    new_b = a.reshape(-1, rank, outputs).transpose(2, 1, 0)  # (O, R, E)
    return new_a.reshape(-1, inputs), new_b.reshape(outputs, -1)


def _cut(
    weight: Weight, a: np.ndarray, b: np.ndarray, shapes: list[tuple[int, ...]], rank: int
) -> list[Pair | None]:
    """Factors of each part of a weight, or None for a part that is not corrected."""
    *stack, _, inputs = shapes[0]
    experts = stack[0] if stack else 1
    outputs = [shape[-2] for shape in shapes]
    if a.shape != (rank * experts, inputs) or b.shape != (sum(outputs), rank * experts):
        raise RefusedError(
            f"'{weight.name}': factors of shape {a.shape} and {b.shape} do not fit rank {rank} and a weight"
            f" of {(*stack, sum(outputs), inputs)}"
        )
    if stack:
        whole = Pair(a.reshape(experts, rank, inputs), b.reshape(-1, rank, experts).transpose(2, 0, 1))
    else:
        whole = Pair(a, b)
    if len(shapes) == 1:
        return [trim(whole)]
    return [pair and trim(pair) for pair in _unstack(trim(whole), outputs[0])]


def _unstack(whole: Pair, first: int) -> list[Pair | None]:
    """The corrections of two parts; the first has ``first`` rows. The way back of :func:`_stack`."""
    upper, lower = whole.b[..., :first, :], whole.b[..., first:, :]
    columns = [np.flatnonzero(one.reshape(-1, whole.rank).any(axis=0)) for one in (upper, lower)]
    end = int(columns[0][-1]) + 1 if columns[0].size else 0  # of the columns that the first part uses
    start = int(columns[1][0]) if columns[1].size else whole.rank  # of those that the second part uses
    if end > start:  # not block-diagonal: both parts share A
        return [Pair(whole.a, upper), Pair(whole.a, lower)]
    half = whole.rank // 2
    cut = half if end <= half <= start and 2 * half == whole.rank else end
    blocks = [
        Pair(whole.a[..., :cut, :], upper[..., :cut]),
        Pair(whole.a[..., cut:, :], lower[..., cut:]),
    ]
    return [one if cut == half or (one.rank and one.b.any()) else None for one in blocks]
