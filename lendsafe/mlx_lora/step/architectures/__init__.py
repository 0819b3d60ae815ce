"""Families of models that the packed step knows, one module each; a new one is a new module and its parity test."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from lendsafe.mlx_lora.step.architectures.record import Architecture, Config


@cache
def every() -> dict[str, Architecture]:
    """All families, by each ``model_type`` that a configuration may name."""
    found: dict[str, Architecture] = {}
    for module in iter_modules(__path__):
        one: Any = getattr(import_module(f"{__name__}.{module.name}"), "ARCHITECTURE", None)
        if one is not None:
            found |= dict.fromkeys((one.name, *one.aliases), one)
    return found


def of(model_type: object) -> Architecture | None:
    """The family of a ``model_type``, or None."""
    return every().get(str(model_type))


def known(config: Config) -> Architecture | None:
    """The family of a configuration, if the packed step and the planner know all its layers."""
    found = of(config.get("model_type"))
    scaling: Any = config.get("rope_scaling") or {}
    if (
        scaling.get("rope_type", scaling.get("type")) == "dynamic"
    ):  # its base depends on the sequence's length
        return None
    return found if found and (found.allows is None or found.allows(config)) else None
