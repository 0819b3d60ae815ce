"""The door to mlx-lm: a model name to a model, a tokenizer and their identity.

Weights are validated before MLX reads them, and cast or quantised tensor by tensor: the published
Granite 3.1 3B is 13.2 GB of float32 and must load on an 8 GB machine.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from safetensors import SafetensorError, safe_open

from lendsafe.errors import ConfigError, OfflineError, RefusedError
from lendsafe.mlx_lora import backend

GRANITE_3B = "ibm-granite/granite-3.1-3b-a800m-instruct"
ALIASES = {"granite-3.1-3b": GRANITE_3B}
EMBEDDED = {"granite-tiny": "granite_tiny"}
SMALL = 1 << 30  # bytes; a base up to this size is identified by all of its content
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.*", "merges.txt", "added_tokens.json")
POSITIONS = re.compile("wpe|.*position.*|.*segment.*")  # embeddings that are not of tokens
GROUP_SIZE = 64  # weights that share a quantisation scale


@dataclass(frozen=True)
class Base:
    """A loaded base model.

    Attributes:
        name: As the user gave it.
        path: Folder that it was read from.
        model: mlx-lm model, frozen.
        tokenizer: mlx-lm's wrapper of the tokenizer.
        config: Content of ``config.json``.
        identity: SHA-256 that changes if weights, tokenizer or template change.
        tokenizer_identity: SHA-256 of the tokenizer's vocabulary and rules alone.
        template_identity: SHA-256 of the chat template alone.
    """

    name: str
    path: Path
    model: nn.Module
    tokenizer: Any
    config: dict[str, Any]
    identity: str
    tokenizer_identity: str
    template_identity: str


def resolve(name: str) -> Path:
    """Folder of a model: embedded, local, in the Hub's cache, or fetched from the Hub.

    Raises:
        OfflineError: If it has to be fetched and the Hub cannot be reached.
        ConfigError: If there is no such model.
    """
    if name in EMBEDDED:
        return Path(str(files("lendsafe") / EMBEDDED[name]))
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").exists():
            raise ConfigError(f"{path}: no config.json; expected a model folder.")
        return path
    repository = ALIASES.get(name, name)
    if repository.count("/") != 1:
        known = ", ".join([*EMBEDDED, *ALIASES])
        raise ConfigError(
            f"No model '{name}'. Try {known}, a local folder, or a Hub id such as {GRANITE_3B}."
        )
    return _from_hub(repository)


def recipe(name: str) -> dict[str, Any]:
    """Settings that an embedded model brings, under ``[train]`` of its ``recipe.toml``; others bring none."""
    import tomllib

    if name not in EMBEDDED:
        return {}
    table: dict[str, Any] = tomllib.loads((resolve(name) / "recipe.toml").read_text("utf-8"))
    return dict(table.get("train", {}))


def _from_hub(repository: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    wanted = ["*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer.model"]
    try:
        return Path(snapshot_download(repository, allow_patterns=wanted))
    except RepositoryNotFoundError as problem:
        raise ConfigError(f"No model '{repository}' on the Hub.") from problem
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as problem:
        raise OfflineError(
            f"Model '{repository}' is not in the cache and the Hub cannot be reached."
            f" Fetch it once with: hf download {repository}"
        ) from problem


def load(name: str, *, precision: str = "auto", quantize: int | None = None) -> Base:
    """Load a model and its tokenizer, frozen, in the asked-for type.

    Args:
        name: ``granite-tiny``, ``granite-3.1-3b``, a local folder, or a Hub id.
        precision: ``auto``, ``float16``, ``bfloat16`` or ``float32``.
        quantize: Bits per weight (4 or 8), or None.

    Raises:
        RefusedError: If a weight file is damaged.
    """
    path = resolve(name)
    config = read_config(path)
    model = load_model(path, config, precision=precision, quantize=quantize)
    tokenizer = load_tokenizer_of(path)
    template = hashlib.sha256(str(getattr(tokenizer, "chat_template", "")).encode()).hexdigest()
    own = identity(path, TOKENIZER_FILES)
    return Base(name, path, model, tokenizer, config, identity(path), own, template)


def load_tokenizer_of(path: Path) -> Any:
    """The tokenizer of a model folder, in mlx-lm's wrapper, which knows all tokens that end a reply."""
    from mlx_lm.utils import load_tokenizer

    try:
        return load_tokenizer(
            path,
            {"trust_remote_code": False, "local_files_only": True},  # False, not absent: absent asks whether to run it
            eos_token_ids=end_tokens(path),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as problem:
        why = "it asks for code of its own to be run; that is never done" if _asks_for_code(path) else problem
        raise RefusedError(f"{path}: no usable tokenizer: {' '.join(str(why).split())[:300]}") from problem


def end_tokens(path: Path) -> list[int] | None:
    """Ids of the tokens that end a reply, as configuration and generation configuration name them."""
    config = read_config(path)
    found: list[int] = []
    for table in (config, text_config(config), _json_object(path / "generation_config.json")):
        named = table.get("eos_token_id")
        found += [one for one in (named if isinstance(named, list) else [named]) if type(one) is int]
    return sorted(set(found)) or None


def text_config(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration that is about the language model; a multimodal one nests it."""
    nested = config.get("text_config")
    return nested if isinstance(nested, dict) else config


def position_limit(config: Mapping[str, Any]) -> int | None:
    """Longest sequence that a base has positions for, or None where it does not say."""
    table = config.get("text_config") if isinstance(config.get("text_config"), dict) else config
    for key in ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len"):
        if type(value := (table or {}).get(key)) is int and value > 0:
            return int(value)
    return None


def embedding_rows(model: nn.Module) -> int:
    """Tokens that a model has an embedding for: ids from 0 to one less.

    Raises:
        ConfigError: If it has no token embedding.
    """
    return int(token_embedding(model)[1].weight.shape[0])


def token_embedding(model: nn.Module) -> tuple[str, nn.Module]:
    """Path and module of a model's token embedding (position embeddings are another).

    Raises:
        ConfigError: If it has none.
    """
    inner = getattr(model, "language_model", model)
    for path, module in inner.named_modules():
        last = path.rsplit(".", 1)[-1]
        if isinstance(module, nn.Embedding | nn.QuantizedEmbedding) and not POSITIONS.fullmatch(last):
            return path, module
    raise ConfigError("The model has no token embedding.")


def _asks_for_code(path: Path) -> bool:
    return any("auto_map" in _json_object(path / name) for name in ("config.json", "tokenizer_config.json"))


def _json_object(path: Path) -> dict[str, Any]:
    """Content of an optional JSON file; empty if it is missing or holds something else."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_config(path: Path) -> dict[str, Any]:
    """Read ``config.json``; the rotary base is put where both tools look for it.

    Raises:
        RefusedError: If it is not JSON, or asks for code to be run.
    """
    try:
        config: Any = json.loads((path / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as problem:
        raise RefusedError(f"{path / 'config.json'}: {problem}") from problem
    if not isinstance(config, dict):
        raise RefusedError(f"{path / 'config.json'}: not a JSON object.")
    if "model_file" in config:
        raise RefusedError(
            f"{path / 'config.json'}: 'model_file' asks for code to be run; that is never done."
        )
    rope = config.get("rope_parameters") or {}
    if "rope_theta" not in config and "rope_theta" in rope:  # transformers 5 saves it inside
        config["rope_theta"] = rope["rope_theta"]
    return config


def empty_model(config: dict[str, Any]) -> nn.Module:
    """The architecture that a configuration describes, with lazy random weights (nothing is computed).

    Raises:
        ConfigError: If mlx-lm has no such architecture.
        RefusedError: If the configuration lacks something that the architecture needs.
    """
    from mlx_lm.utils import _get_classes

    try:
        model_class, arguments_class = _get_classes(config=config)
    except (KeyError, ValueError, AttributeError, TypeError) as problem:
        raise ConfigError(
            f"Architecture {config.get('model_type')!r} is not one that mlx-lm knows."
        ) from problem
    try:
        return model_class(arguments_class.from_dict(config))
    except (KeyError, ValueError, AttributeError, TypeError, OverflowError) as problem:
        raise RefusedError(
            f"config.json does not describe a '{config['model_type']}' model: {problem}"
        ) from problem


def load_model(path: Path, config: dict[str, Any], *, precision: str, quantize: int | None) -> nn.Module:
    """Build the model and fill it, one module at a time.

    Peak memory is the final size plus about the largest tensor in its stored type.
    """
    dtype = getattr(mx, backend.default_precision() if precision == "auto" else precision)
    weights = read_weights(path)
    model = empty_model(config)
    if hasattr(model, "sanitize"):
        try:
            weights = model.sanitize(weights)
        except (KeyError, ValueError, IndexError) as problem:
            raise RefusedError(f"{path}: weights do not fit config.json: {problem}") from problem
    stored = config.get("quantization")
    if stored:
        _quantize(model, stored["bits"], stored["group_size"], stored, weights)
    else:
        weights = {name: array.astype(dtype) for name, array in weights.items()}
    _check_names(model, weights, path)
    # Gate and up are often stored as one tensor and split into views; MLX's grouped product on CUDA takes an expert's
    # stride from the shape and reads such a view wrongly.
    model.load_weights([(name, mx.contiguous(array)) for name, array in weights.items()])
    weights.clear()
    if quantize and not stored:
        _quantize(model, quantize, GROUP_SIZE, None, None)
    model.freeze()
    model.eval()
    _materialize(model)
    return model


def read_weights(path: Path) -> dict[str, mx.array]:
    """Tensors of a model folder by their stored names; lazy: nothing but the headers is read yet.

    Raises:
        RefusedError: If there are none, or only pickles, or a header is not sound.
    """
    shards = sorted(path.glob("model*.safetensors"))
    if not shards:
        pickles = sorted(one.name for pattern in ("*.bin", "*.pt", "*.pth") for one in path.glob(pattern))
        if pickles:
            raise RefusedError(
                f"{path}: only {pickles[0]}, a pickle; convert the model to safetensors first."
            )
        raise RefusedError(f"{path}: no model*.safetensors.")
    weights: dict[str, mx.array] = {}
    for shard in shards:
        validate_safetensors(shard)
        loaded: Any = mx.load(str(shard))  # lazy: nothing is read yet
        weights.update(loaded)
    return weights


def validate_safetensors(path: Path) -> None:
    """Refuse a file whose header is not sound; MLX's own reader hangs or crashes on some of those.

    Raises:
        RefusedError: Naming the file and the fault.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            file.keys()
    except (SafetensorError, OSError) as problem:
        raise RefusedError(f"{path}: not a sound safetensors file: {problem}") from problem


def _check_names(model: nn.Module, weights: dict[str, mx.array], path: Path) -> None:
    expected = {name: tuple(array.shape) for name, array in named_arrays(model.parameters()).items()}
    missing, unknown = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or unknown:
        what = f"no '{missing[0]}'" if missing else f"unknown '{unknown[0]}'"
        raise RefusedError(
            f"{path}: weights do not fit config.json: {what}"
            f" ({len(missing)} missing, {len(unknown)} unknown)."
        )
    for name, shape in expected.items():
        if tuple(weights[name].shape) != shape:
            raise RefusedError(
                f"{path}: '{name}' has shape {tuple(weights[name].shape)}; config.json says {shape}."
            )


def _quantize(
    model: nn.Module,
    bits: int,
    group_size: int,
    stored: dict[str, Any] | None,
    weights: dict[str, mx.array] | None,
) -> None:
    """Quantise in place, lazily: as a stored model was, or by the architecture's own rule."""
    rule = getattr(model, "quant_predicate", None)

    def predicate(path: str, module: nn.Module) -> Any:
        if not hasattr(module, "to_quantized"):
            return False
        if weights is not None and stored is not None:
            return stored.get(path, f"{path}.scales" in weights)
        if module.weight.shape[-1] % group_size:
            return False
        choice = rule(path, module) if rule else True
        if isinstance(choice, dict):
            choice = {**choice, "bits": max(bits, choice["bits"])}
        return choice

    nn.quantize(model, group_size, bits, class_predicate=predicate)


def _materialize(model: nn.Module) -> None:
    """Compute the weights module by module, so that only one is ever held in its stored type too.

    The largest come first: their stored, cast and final forms exist at once while nothing else is there yet.
    """
    groups = []
    for _, module in model.named_modules():
        own = [value for value in module.values() if isinstance(value, mx.array)]
        if "gate_proj" in module and "up_proj" in module:  # halves of one stored tensor
            own += named_arrays([module.gate_proj.parameters(), module.up_proj.parameters()]).values()
        groups.append(own)
    for own in sorted(groups, key=lambda arrays: -sum(array.nbytes for array in arrays)):
        if own:
            mx.eval(own)
            mx.clear_cache()


def activation_type(model: nn.Module) -> mx.Dtype:
    """Type that a model computes in: that of its embedding, or of its scales if it is quantised."""
    module = token_embedding(model)[1]
    found = module.scales.dtype if "scales" in module else module.weight.dtype
    return found if mx.issubdtype(found, mx.floating) else mx.float32


def identity(path: Path, patterns: Sequence[str] = ("*.json", "*.jinja", "*.safetensors")) -> str:
    """SHA-256 that tells two bases apart: configuration, tokenizer, template and weights.

    Weights up to 1 GB are hashed whole; of larger ones the headers, sizes and a sample of each file.
    """
    digest = hashlib.sha256()
    small = sum(one.stat().st_size for one in path.glob("*.safetensors")) <= SMALL
    for one in sorted(file for pattern in patterns for file in path.glob(pattern)):
        digest.update(f"{one.name} {one.stat().st_size}\n".encode())
        with one.open("rb") as file:
            if one.suffix != ".safetensors" or small:
                digest.update(hashlib.file_digest(file, "sha256").digest())
                continue
            header = int.from_bytes(file.read(8), "little")
            digest.update(file.read(min(header, 1 << 26)))
            for start in range(8 + header, one.stat().st_size, 1 << 28):
                file.seek(start)
                digest.update(file.read(1 << 16))
    return digest.hexdigest()


def online() -> bool:
    """Whether fetching is allowed at all."""
    return os.environ.get("HF_HUB_OFFLINE", "0") in ("", "0")


def named_arrays(tree: Any) -> dict[str, mx.array]:
    """Arrays of a tree by their dotted names, sorted."""
    flat: Any = tree_flatten(tree)  # its stub says it may return a dictionary
    return {name: array for name, array in sorted(flat) if isinstance(array, mx.array)}
