"""Read a product file (TOML) and check all of it: every problem with line and key, at once."""

import json
import math
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from lendsafe.errors import ConfigError
from lendsafe.fields import did_you_mean, parse_toml
from lendsafe.product.model import Product
from lendsafe.product.reader import Flaw, Reader

MOST_SHOWN = 40
PACKAGED = ("consumer", "german", "lending-club", "boston")


def load(name: str | Path) -> Product:
    """A packaged product by name, or any other by path.

    Raises:
        ConfigError: Naming everything that is wrong with the file, or the packaged names if it is none.
    """
    if str(name) in PACKAGED:
        return packaged(str(name))
    path = Path(name).expanduser()
    if not path.suffix and not path.exists():
        raise ConfigError(
            f"No product '{name}'.{did_you_mean(str(name), list(PACKAGED))} Packaged: {', '.join(PACKAGED)}; or give "
            "a TOML file (`lendsafe product new FILE` writes one)."
        )
    try:
        text = path.read_text("utf-8-sig")
    except OSError as problem:
        raise ConfigError(f"{path}: {problem.strerror}.") from problem
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path}: not UTF-8 (byte {problem.start}). Save the file as UTF-8.") from problem
    if path.suffix == ".json":  # as ours is kept beside what was made with it
        try:
            table = json.loads(text)
        except (ValueError, RecursionError) as problem:
            raise ConfigError(f"{path}: not JSON: {problem}.") from problem
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: not a JSON object.")
        return product_from(table, str(path))
    return product_from(_plain(parse_toml(text, str(path))), str(path), text)


@cache
def packaged(name: str) -> Product:
    """A product that ships with the package."""
    text = (files("lendsafe.product") / "packaged" / f"{name.replace('-', '_')}.toml").read_text("utf-8")
    return product_from(_plain(tomllib.loads(text)), f"product {name}", text)


def product_from(table: Mapping[str, Any], where: str, text: str = "") -> Product:
    """Build a product from its table.

    Args:
        table: Content of the file.
        where: Place to name in messages.
        text: The file itself, so that messages can name lines.

    Raises:
        ConfigError: Naming every problem with its line and key.
    """
    found, flaws = examine(table, text)
    if found is None or flaws:
        more = f"; and {len(flaws) - MOST_SHOWN} more" if len(flaws) > MOST_SHOWN else ""
        raise ConfigError(f"{where}: " + "; ".join(map(str, flaws[:MOST_SHOWN])) + more)
    return found


def examine(table: Mapping[str, Any], text: str = "") -> tuple[Product | None, list[Flaw]]:
    """A product, if one can be made of a table, and everything that is wrong with it."""
    over = {key: value for key, value in table.items() if key != "extends"}
    base = table.get("extends")
    reader = Reader(_laid_over(packaged(base).table, over) if base in PACKAGED else over, text)
    if base is not None and base not in PACKAGED:
        reader.wrong(
            ("extends",), f"no packaged product {base!r:.40}.{did_you_mean(str(base), list(PACKAGED))}"
        )
    product = reader.product()
    return product, sorted(reader.flaws, key=lambda one: one.line)


def _plain(value: Any) -> Any:
    """TOML values as JSON has them: dates and times as text, no infinity."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool) else str(value)


def _laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the keys of ``over``, table by table; lists are replaced whole."""
    made = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(made.get(key), Mapping)
        made[key] = _laid_over(made[key], value) if both else value
    return made
