"""The frames of narratives, read from the wording tables beside this module, and a product's own words in them."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from lendsafe.product import Product
from lendsafe.product.patterns import Pattern, Random, parse, pick, say, shape

Wording = Literal["train", "held_out", "all"]

# Share of the lists drawn from the held-out table when every wording is wanted.
HELD_OUT_SHARE = 0.3


def patterns(table: Literal["train", "held_out"], path: str, register: str) -> tuple[Pattern, ...]:
    """The alternatives of a frame at a dotted path such as ``weight.adverse.strong``.

    Args:
        table: Which wordings; a place that the held-out table leaves out is taken from the other.
        path: Sections, joined by dots.
        register: List below the section; a list named ``any`` serves every register.

    Raises:
        KeyError: If neither table has the place.
    """
    found = _tables()[table].get((path, register)) or _tables()[table].get((path, "any"))
    if found is None and table == "held_out":
        return patterns("train", path, register)
    if found is None:
        raise KeyError(f"No wording for '{path}', register '{register}'.")
    return found


def own_words(
    product: Product, table: Literal["train", "held_out"], code: str, place: str, register: str
) -> tuple[Pattern, ...]:
    """The alternatives of a product for one place of a reason, such as ``against``; empty where it has none."""
    one = product.reasons[code]
    held = getattr(one.held_out, place) if table == "held_out" else {}
    return _parsed((held or getattr(one.words, place)).get(register, ()))


@cache
def _parsed(texts: tuple[str, ...]) -> tuple[Pattern, ...]:
    return tuple(map(parse, texts))


def places() -> dict[tuple[str, str], tuple[Pattern, ...]]:
    """Every frame of the training table, by path and register."""
    return dict(_tables()["train"])


@cache
def _tables() -> dict[str, dict[tuple[str, str], tuple[Pattern, ...]]]:
    return {
        "train": dict(_leaves(_read("wordings.toml"))),
        "held_out": dict(_leaves(_read("wordings_held_out.toml"))),
    }


def _leaves(table: dict[str, Any], path: str = "") -> list[tuple[tuple[str, str], tuple[Pattern, ...]]]:
    leaves: list[tuple[tuple[str, str], tuple[Pattern, ...]]] = []
    for key, value in table.items():
        if isinstance(value, list):
            leaves.append(((path, key), tuple(map(parse, value))))
        elif isinstance(value, dict):
            leaves += _leaves(value, f"{path}.{key}".lstrip("."))
    return leaves


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((files("lendsafe.corpus") / name).read_text("utf-8"))


__all__ = [
    "HELD_OUT_SHARE",
    "Pattern",
    "Random",
    "Wording",
    "own_words",
    "parse",
    "patterns",
    "pick",
    "places",
    "say",
    "shape",
]
