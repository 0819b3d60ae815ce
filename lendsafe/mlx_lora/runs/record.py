"""What is recorded of a run, so that it can be resumed, told from another, and kept from its own training rows.

``run.json`` holds settings, versions and the identities of base, tokenizer, template and data; ``training_rows.txt``
the hashes of the rows that were trained on.
"""

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import lendsafe
from lendsafe.errors import ConfigError, RefusedError
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange import adapter, loading
from lendsafe.records import Message

# Settings that may differ between a run and its resumption: they do not change what is computed.
FREE_SETTINGS = (
    "save_every",
    "keep",
    "eval_every",
    "patience",
    "samples",
    "log_to",
    "token_budget",
    "recompute",
    "chat_template",  # what it holds is compared
    "revision",
)
Conversation = Sequence[Message]
Config = TypeVar("Config", bound=TrainConfig)


def row_hash(conversation: Conversation) -> str:
    """SHA-256 of one conversation: which rows a run was trained on is kept by hash."""
    rows = [[m.role, m.content, *([more] if (more := getattr(m, "more", "")) else [])] for m in conversation]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def trained_rows(run: Path) -> frozenset[str]:
    """Hashes of the rows that a run was trained on; empty if it left no record."""
    path = run / "training_rows.txt"
    return frozenset(path.read_text("utf-8").split()) if path.exists() else frozenset()


def read_settings(run: Path) -> tuple[TrainConfig, str, str]:
    """Settings, base name and data source of an existing run.

    Raises:
        RefusedError: If the folder is not a run.
    """
    return read_settings_as(TrainConfig, run)


def read_settings_as(kind: type[Config], run: Path) -> tuple[Config, str, str]:
    """The same for settings of a kind.

    Raises:
        RefusedError: If the folder is not a run.
    """
    stored = read(run)
    known = {f.name for f in fields(kind)}
    try:
        settings = {k: v for k, v in stored["settings"].items() if k in known}
        config = kind(**settings | {"targets": tuple(settings["targets"])})
        base = stored["base"]
        name, revision = loading.near(str(base["name"]), run), base.get("revision")
        return config, f"{name}@{revision}" if revision else name, str(stored["data"]["source"])
    except (KeyError, TypeError, AttributeError, ConfigError) as problem:
        raise RefusedError(f"{run / 'run.json'}: not a run's record: {problem}") from problem


def approved_language(run: Path) -> str:
    """Digest of the language that was approved for a run's texts; empty if none was.

    Raises:
        RefusedError: If the folder is not a run.
    """
    data = read(run).get("data", {})
    return str(data.get("language", "")) if isinstance(data, dict) else ""


def as_then(base: loading.Base, run: Path) -> loading.Base:
    """A base with the chat template and the day that a run began with.

    Raises:
        RefusedError: If the folder is not a run.
    """
    stored = read(run).get("base", {})
    template = run / adapter.TEMPLATE
    text = template.read_text("utf-8") if template.is_file() and not base.own_template else None
    return base.speak(template=text, day=stored.get("day"))


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    from importlib.metadata import version

    packages = ("mlx", "mlx-lm", "safetensors", "transformers", "numpy")
    return {"lendsafe": lendsafe.__version__, "python": platform.python_version()} | {
        p: version(p) for p in packages
    }


def read(run: Path) -> dict[str, Any]:
    """What ``run.json`` holds.

    Raises:
        RefusedError: If the folder is not a run.
    """
    try:
        stored: dict[str, Any] = json.loads((run / "run.json").read_text("utf-8"))
    except FileNotFoundError as problem:
        raise RefusedError(f"{run}: no run.json; not a training run.") from problem
    except (OSError, ValueError) as problem:
        raise RefusedError(f"{run / 'run.json'}: {problem}") from problem
    if not isinstance(stored, dict):
        raise RefusedError(f"{run / 'run.json'}: not an object.")
    return stored


def differences(stored: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What has changed since a run began that would change its result, in words."""
    before, after = stored.get("base", {}), now["base"]
    parts = [part for part in ("tokenizer", "template") if before.get(part) != after[part]]
    if not parts and before.get("identity") != after["identity"]:
        parts = ["base"]
    if stored.get("data", {}).get("identity") != now["data"]["identity"]:
        parts.append("data")
    if stored.get("data", {}).get("language", "") != now["data"]["language"]:
        parts.append("approved language")
    changed = [f"the {part} has changed" for part in parts]
    if stored.get("start", {}) != now.get("start", {}):
        changed.append("what the run goes on from has changed")
    before, after = stored.get("settings", {}), now["settings"]
    return changed + [
        f"{key} was {before.get(key)!r} and is {after[key]!r}"
        for key in after
        if key not in FREE_SETTINGS and before.get(key) != after[key]
    ]
