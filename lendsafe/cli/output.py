"""How results are printed."""

import json
import math
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any


def as_json(value: Any) -> str:
    """A result as one JSON object: records become objects, paths text, and NaN null."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def table(summary: dict[str, Any]) -> str:
    """Systems side by side, one measure a line, each with its 95 % interval."""
    systems: dict[str, dict[str, Any]] = summary["systems"]
    names = list(systems)
    measures = [
        key
        for key in next(iter(systems.values()))
        if not key.endswith("grade") or key == "flesch_kincaid_grade"
    ]
    rows = [["", *names]]
    for key in measures:
        cells = [systems[name].get(key) for name in names]
        rows.append(
            [
                key,
                *("" if c is None else f"{c['value']:.3f} [{c['low']:.3f}, {c['high']:.3f}]" for c in cells),
            ]
        )
    rows.append(["grade (overlap alone)", *(systems[name]["grade"] for name in names)])
    rows.append(["grade (nothing untrue)", *(systems[name]["strict_grade"] for name in names)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    losses = [
        f"{key} {summary[key]:.4f}" for key in ("train_loss", "valid_loss") if summary.get(key) is not None
    ]
    return "\n".join([*lines, "  ".join([*losses, f"n = {summary['n']}"]), *summary["reading"]])
