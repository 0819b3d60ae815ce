"""Which layers get an adapter: match names, swap the layers of one model, count, and swap back.

Nothing here touches a class: adapters replace instances, and ``remove`` puts the originals back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear

from lendsafe.errors import ConfigError
from lendsafe.mlx_lora.config import DEFAULT_TARGETS, LoraConfig
from lendsafe.mlx_lora.exchange.loading import named_arrays
from lendsafe.mlx_lora.step import architectures
from lendsafe.mlx_lora.step.layers import LORA_LAYERS, DropoutKeys, LoRALinear, LoRASwitchLinear, linear_shape

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
LINEAR = (nn.Linear, nn.QuantizedLinear)
SWITCH = (SwitchLinear, QuantizedSwitchLinear)
ROUTER = ("router", "router.layer", "mlp.gate")


@dataclass(frozen=True, slots=True)
class Match:
    """What one target name matched.

    Attributes:
        target: The name as asked for.
        layers: Paths of the layers that got an adapter for it.
        parameters: Trainable parameters that they added.
        note: Why there are none, if there are none.
    """

    target: str
    layers: tuple[str, ...]
    parameters: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Adapted:
    """An adapted model's account.

    Attributes:
        matches: One entry for each target asked for.
        trainable: Trainable parameters.
        total: Parameters of the base, as if it were not quantised.
        keys: Source of dropout keys of all adapters.
    """

    matches: tuple[Match, ...]
    trainable: int
    total: int
    keys: DropoutKeys

    @property
    def warnings(self) -> list[str]:
        """One line for each target that matched nothing."""
        return [f"target '{m.target}' {m.note}" for m in self.matches if not m.layers]


def add_adapters(model: nn.Module, config: LoraConfig, *, seed: int = 0) -> Adapted:
    """Freeze the model and put an adapter around every layer that a target names.

    Args:
        model: mlx-lm model without adapters.
        config: Targets, rank, scale and dropout.
        seed: Seed of the initial adapters; each layer's depends on it and on its path alone.

    Raises:
        ConfigError: If a target matches nothing, unless it is one of the recipe's defaults; if nothing
            matches at all.
    """
    model.freeze()
    total = count_parameters(model)
    matched = {target: _matching(model, target, config.targets) for target in config.targets}
    _refuse_unmatched(model, matched, config)
    keys = DropoutKeys()
    swapped: dict[str, nn.Module] = {}
    for path in sorted({path for paths in matched.values() for path in paths}, key=_natural):
        swapped[path] = _adapter(_at(model, path), config, keys, _key(seed, path))
        replace(model, path, swapped[path])
    matches = tuple(
        Match(
            target,
            tuple(paths),
            sum(_size(swapped[path]) for path in paths),
            "" if paths else _why_nothing(model, target),
        )
        for target, paths in matched.items()
    )
    for layer in swapped.values():
        layer.unfreeze(keys=["lora_a", "lora_b"], recurse=False)
    trainable = sum(_size(layer) for layer in swapped.values())
    return Adapted(matches, trainable, total, keys)


def remove_adapters(model: nn.Module) -> None:
    """Put the original layers back."""
    for path, layer in adapters(model).items():
        replace(model, path, layer.linear)


def adapters(model: nn.Module) -> dict[str, nn.Module]:
    """Every adapter of a model by the path of the layer it wraps."""
    return {path: module for path, module in model.named_modules() if isinstance(module, LORA_LAYERS)}


def count_parameters(model: nn.Module) -> int:
    """Parameters of the base, counting a quantised weight as the weights it stands for. Lazy: free."""
    total = 0
    for _, module in model.named_modules():
        for name, value in module.items():
            hidden = name.startswith("_") or name in ("lora_a", "lora_b", "scales", "biases")
            if hidden or not isinstance(value, mx.array):
                continue
            packed = name == "weight" and "scales" in module
            total += value.size * 32 // module.bits if packed else value.size
    return total


def replace(model: nn.Module, path: str, layer: nn.Module) -> None:
    """Put ``layer`` at ``path`` of this instance."""
    *parents, last = path.split(".")
    owner = _at(model, ".".join(parents)) if parents else model
    if last.isdigit():
        owner[int(last)] = layer
    else:
        setattr(owner, last, layer)


def _at(model: nn.Module, path: str) -> nn.Module:
    module = model
    for part in path.split("."):
        module = module[int(part)] if part.isdigit() else module[part]
    return module


def _matching(model: nn.Module, target: str, asked: tuple[str, ...]) -> list[str]:
    family = architectures.of(getattr(model, "model_type", ""))
    fused = family.fused if family else {}
    found = []
    for path, module in model.named_modules():
        if _adaptable(path, module) and _names(target, path, module, asked, fused):
            found.append(path)
    return sorted(found, key=_natural)


def _adaptable(path: str, module: nn.Module) -> bool:
    return isinstance(module, LINEAR + SWITCH) and path != "lm_head"


def _names(
    target: str, path: str, module: nn.Module, asked: tuple[str, ...], fused: Mapping[str, str]
) -> bool:
    """Whether a target names this layer, or a part of it. The recipe's gate, up and down mean linears only."""
    last = path.rsplit(".", 1)[-1]
    if target == "all":
        return True
    if target == "attention":
        return last in {fused.get(name, name) for name in ATTENTION}
    target = fused.get(target, target)
    if target == "experts":
        return isinstance(module, SWITCH)
    if target == "router":
        return path.endswith(ROUTER) and isinstance(module, LINEAR)
    if isinstance(module, SWITCH) and asked == DEFAULT_TARGETS:
        return False
    return last == target or path == target or path.endswith("." + target)


def _refuse_unmatched(model: nn.Module, matched: dict[str, list[str]], config: LoraConfig) -> None:
    names = sorted(
        {path.rsplit(".", 1)[-1] for path, module in model.named_modules() if _adaptable(path, module)}
    )
    unmatched = [target for target, paths in matched.items() if not paths]
    refused = unmatched if config.targets != DEFAULT_TARGETS else []
    if refused or len(unmatched) == len(matched):
        raise ConfigError(
            f"Target {', '.join(map(repr, refused or unmatched))} matches no layer of this model."
            f" It has {', '.join(names)}; or name attention, experts, router, all."
        )


def _why_nothing(model: nn.Module, target: str) -> str:
    stacked = any(isinstance(m, SWITCH) and p.endswith(target) for p, m in model.named_modules())
    if stacked:
        return "matches no linear layer: here it is a stack of experts; name 'experts' to adapt those"
    return "matches no layer of this model"


def _adapter(layer: nn.Module, config: LoraConfig, keys: DropoutKeys, key: mx.array) -> nn.Module:
    kind = LoRASwitchLinear if isinstance(layer, SWITCH) else LoRALinear
    return kind(layer, rank=config.rank, scale=config.scale, dropout=config.dropout, keys=keys, key=key)


def _key(seed: int, path: str) -> mx.array:
    import hashlib

    return mx.random.key(int.from_bytes(hashlib.sha256(f"{seed}/{path}".encode()).digest()[:8], "little"))


def _size(layer: nn.Module) -> int:
    return int(layer.lora_a.size + layer.lora_b.size)


def _natural(path: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in path.split(".")]


def trainable_arrays(model: nn.Module) -> dict[str, mx.array]:
    """Adapter arrays by full name, in a fixed order."""
    return named_arrays(model.trainable_parameters())


def table(matches: Iterable[Match]) -> str:
    """The matches as aligned text, one line for each target."""
    rows = [(m.target, f"{len(m.layers)} layers", f"{m.parameters:,}", m.note) for m in matches]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(
        f"{t:<{widths[0]}}  {n:>{widths[1]}}  {p:>{widths[2]}}  {note}".rstrip() for t, n, p, note in rows
    )


__all__ = [
    "Adapted",
    "Match",
    "adapters",
    "add_adapters",
    "count_parameters",
    "linear_shape",
    "remove_adapters",
    "replace",
    "table",
    "trainable_arrays",
]
