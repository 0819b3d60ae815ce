"""``config.json`` as it is written and as mlx-lm's architectures read it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lendsafe.errors import RefusedError


def read_config(path: Path) -> dict[str, Any]:
    """Read ``config.json``; infinity, in whichever way it is written, becomes a number.

    Raises:
        RefusedError: If it is not JSON, or asks for code to be run.
    """
    try:
        config: Any = json.loads((path / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise RefusedError(f"{path / 'config.json'}: {problem}") from problem
    if not isinstance(config, dict):
        raise RefusedError(f"{path / 'config.json'}: not a JSON object.")
    if "model_file" in config:
        raise RefusedError(
            f"{path / 'config.json'}: 'model_file' asks for code to be run; that is never done."
        )
    found: dict[str, Any] = _with_numbers(config)
    return found


def _with_numbers(value: Any) -> Any:
    """A configuration with ``{"__float__": "Infinity"}``, as transformers 5 writes it, as the number."""
    if isinstance(value, dict):
        if value.keys() == {"__float__"} and isinstance(value["__float__"], str):
            return float(value["__float__"])
        return {key: _with_numbers(one) for key, one in value.items()}
    return [_with_numbers(one) for one in value] if isinstance(value, list) else value


def text_config(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that is about the language model; a multimodal one nests it."""
    nested = config.get("text_config")
    return nested if isinstance(nested, dict) else config


def vocabulary_size(config: Mapping[str, Any]) -> int | None:
    """Size of the vocabulary that a configuration states, wherever it does."""
    for table in (config, config.get("text_config") or {}):
        if type(size := table.get("vocab_size")) is int:
            return int(size)
    return None


def position_limit(config: Mapping[str, Any]) -> int | None:
    """Longest sequence that a base has positions for, or None where it does not say."""
    nested = config.get("text_config")
    table = nested if isinstance(nested, dict) else config
    scaling = for_mlx(table).get("rope_scaling") or {}
    if scaling.get("rope_type", scaling.get("type")) == "longrope":  # beyond it, other factors hold
        return int(scaling["original_max_position_embeddings"])
    for key in ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len"):
        if type(value := table.get(key)) is int and value > 0:
            return int(value)
    return None


def end_tokens(path: Path) -> list[int] | None:
    """Ids of the tokens that end a reply, as configuration and generation configuration name them."""
    config = read_config(path)
    found: list[int] = []
    for table in (config, text_config(config), json_object(path / "generation_config.json")):
        named = table.get("eos_token_id")
        found += [one for one in (named if isinstance(named, list) else [named]) if type(one) is int]
    return sorted(set(found)) or None


def json_object(path: Path) -> dict[str, Any]:
    """Content of an optional JSON file; empty if it is missing or holds something else."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def for_mlx(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with the rotary embedding where mlx-lm's architectures look for it.

    transformers 5 writes base, scaling and the rotated share into ``rope_parameters`` alone, for models with
    two kinds of attention by kind.

    Raises:
        RefusedError: Naming a scaling that mlx-lm computes otherwise than transformers.
    """
    found = dict(config)
    if isinstance(nested := found.get("text_config"), dict):
        found["text_config"] = for_mlx(nested)
    rope = found.get("rope_parameters")
    if isinstance(rope, dict):
        kinds = [one for one in rope.values() if isinstance(one, dict)]
        local = rope.get("sliding_attention")
        if isinstance(local, dict) and "rope_theta" in local:
            found.setdefault("rope_local_base_freq", local["rope_theta"])
        rope = rope.get("full_attention", kinds[0]) if kinds and "rope_theta" not in rope else rope
        found |= _flat_rope(found, rope)
    _refuse_rope(found)
    return found


def _flat_rope(config: Mapping[str, Any], rope: Mapping[str, Any]) -> dict[str, Any]:
    """What ``rope_parameters`` says and the configuration does not say at its top."""
    told: dict[str, Any] = {key: rope[key] for key in ("rope_theta", "partial_rotary_factor") if key in rope}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        scaling = {key: value for key, value in rope.items() if key not in told} | {
            "type": kind,
            "rope_type": kind,
        }
        if kind in ("longrope", "yarn", "llama3"):
            original = config.get("original_max_position_embeddings")
            scaling.setdefault(
                "original_max_position_embeddings", original or config.get("max_position_embeddings")
            )
        told["rope_scaling"] = scaling
    return {key: value for key, value in told.items() if config.get(key) is None}


def _refuse_rope(config: dict[str, Any]) -> None:
    """Refuse a scaling that mlx-lm would pass over, or compute otherwise; give ``longrope`` its short factors."""
    scaling = config.get("rope_scaling")
    if not isinstance(scaling, dict):
        return
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "longrope" and "short_factor" in scaling:
        # mlx-lm takes the long factors at every length, transformers only beyond the original one: so does no run here
        config["rope_scaling"] = scaling | {"long_factor": scaling["short_factor"]}
    if kind in ("yarn", "longrope") and scaling.get("attention_factor") is not None:
        raise RefusedError(
            f"config.json: rope type '{kind}' with attention_factor {scaling['attention_factor']} is none that mlx-lm"
            " computes."
        )
    if kind == "dynamic":
        raise RefusedError(
            "config.json: rope type 'dynamic' changes with the length of the text; mlx-lm computes it otherwise."
        )


def asks_for_code(path: Path) -> bool:
    """Whether a model folder names code of its own, which is never run."""
    return any("auto_map" in json_object(path / name) for name in ("config.json", "tokenizer_config.json"))
