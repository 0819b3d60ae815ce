"""The door to mlx-lm: a model name to a model, a tokenizer and their identity.

Weights are validated before MLX reads them, and cast or quantised tensor by tensor: the published
Granite 3.1 3B is 13.2 GB of float32 and must load on an 8 GB machine.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from safetensors import SafetensorError, safe_open

from lendsafe.errors import ConfigError, OfflineError, RefusedError
from lendsafe.fields import did_you_mean
from lendsafe.mlx_lora import backend
from lendsafe.mlx_lora.exchange.configuration import asks_for_code
from lendsafe.mlx_lora.exchange.configuration import end_tokens as end_tokens
from lendsafe.mlx_lora.exchange.configuration import for_mlx as for_mlx
from lendsafe.mlx_lora.exchange.configuration import position_limit as position_limit
from lendsafe.mlx_lora.exchange.configuration import read_config as read_config
from lendsafe.mlx_lora.exchange.configuration import vocabulary_size as vocabulary_size
from lendsafe.mlx_lora.exchange.identity import identity as identity
from lendsafe.mlx_lora.tokens import dated

GRANITE_3B = "ibm-granite/granite-3.1-3b-a800m-instruct"
ALIASES = {"granite-3.1-3b": GRANITE_3B}
EMBEDDED = {"granite-tiny": "granite_tiny"}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.*", "merges.txt", "added_tokens.json")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
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
        weights_identity: SHA-256 of what the logits depend on: configuration and weights.
        template: The chat template as it is written; the tokenizer's reads :attr:`day` where it asks for a date.
        own_template: Whether it is not the model's but was given.
        day: ISO date that the chat template reads as today.
        revision: The Hub's commit, or nothing for a folder of another kind.
    """

    name: str
    path: Path
    model: nn.Module
    tokenizer: Any
    config: dict[str, Any]
    identity: str
    tokenizer_identity: str
    template_identity: str
    weights_identity: str = ""
    template: Any = None
    own_template: bool = False
    day: str = ""
    revision: str = ""

    def speak(self, *, template: str | None = None, day: str | None = None) -> "Base":
        """The same base with another chat template, or as of another day; they share model and tokenizer."""
        text = self.template if template is None else template
        day = day or self.day
        self.tokenizer.chat_template = dated(text, day)
        return replace(
            self,
            template=text,
            own_template=self.own_template or template is not None,
            template_identity=self.template_identity if template is None else _hash(template),
            day=day,
        )


def resolve(name: str, revision: str | None = None) -> Path:
    """Folder of a model: embedded, local, in the Hub's cache, or fetched from the Hub.

    Args:
        name: ``granite-tiny``, ``granite-3.1-3b``, a local folder, or a Hub id, also as ``id@revision``.
        revision: Branch, tag or commit on the Hub.

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
    repository, _, own = ALIASES.get(name, name).partition("@")
    if own and revision and own != revision:
        raise ConfigError(f"'{name}' names the revision '{own}' and --revision '{revision}'; name one.")
    repository = ALIASES.get(repository, repository)
    if not HUB_ID.fullmatch(repository):
        raise ConfigError(f"No model '{name}'.{_nearby(path, name)}")
    return _from_hub(repository, own or revision)


def _nearby(path: Path, name: str) -> str:
    """What could have been meant by a name that is no model's."""
    folders = [one.name for one in path.parent.iterdir() if one.is_dir()] if path.parent.is_dir() else []
    near = did_you_mean(path.name, folders) or did_you_mean(name, [*EMBEDDED, *ALIASES])
    known = ", ".join([*EMBEDDED, *ALIASES])
    return near or f" Try {known}, a local folder, or a Hub id such as {GRANITE_3B}."


def recipe(name: str) -> dict[str, Any]:
    """Settings that an embedded model brings, under ``[train]`` of its ``recipe.toml``; others bring none."""
    import tomllib

    if name not in EMBEDDED:
        return {}
    table: dict[str, Any] = tomllib.loads((resolve(name) / "recipe.toml").read_text("utf-8"))
    return dict(table.get("train", {}))


def _from_hub(repository: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    wanted = ["*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer.model"]
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=wanted))
    except RevisionNotFoundError as problem:
        raise ConfigError(f"Model '{repository}' has no revision '{revision}' on the Hub.") from problem
    except RepositoryNotFoundError as problem:
        raise ConfigError(f"No model '{repository}' on the Hub.") from problem
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as problem:
        raise OfflineError(
            f"Model '{repository}' is not in the cache and the Hub cannot be reached."
            f" Fetch it once with: hf download {repository}{f' --revision {revision}' if revision else ''}"
        ) from problem


def load(
    name: str,
    *,
    precision: str = "auto",
    quantize: int | None = None,
    revision: str | None = None,
    template: str | None = None,
    day: str | None = None,
) -> Base:
    """Load a model and its tokenizer, frozen, in the asked-for type.

    Args:
        name: ``granite-tiny``, ``granite-3.1-3b``, a local folder, or a Hub id.
        precision: ``auto``, ``float16``, ``bfloat16`` or ``float32``.
        quantize: Bits per weight, or None.
        revision: Branch, tag or commit on the Hub.
        template: Chat template in place of the model's own.
        day: ISO date that the chat template reads as today; today if it is left out.

    Raises:
        RefusedError: If a weight file is damaged, or holds a value that is not finite.
    """
    path = resolve(name, revision)
    config = read_config(path)
    model = load_model(path, config, precision=precision, quantize=quantize)
    tokenizer = load_tokenizer_of(path)
    own = getattr(tokenizer, "chat_template", None)
    base = Base(
        name=recorded_name(name, path),
        path=path,
        model=model,
        tokenizer=tokenizer,
        config=config,
        identity=identity(path),
        tokenizer_identity=identity(path, TOKENIZER_FILES),
        template_identity=_hash(own),
        weights_identity=identity(path, ("config.json", "*.safetensors")),
        template=own,
        revision=path.name if path.parent.name == "snapshots" else "",
    )
    return base.speak(template=template, day=day or date.today().isoformat())


def _hash(template: Any) -> str:
    return hashlib.sha256(str(template).encode()).hexdigest()


def recorded_name(name: str, path: Path) -> str:
    """The name of a model for a record that is read elsewhere: a local folder's is absolute."""
    return str(path.resolve()) if Path(name).expanduser().is_dir() else name.partition("@")[0]


def near(name: str, folder: Path) -> str:
    """Where a recorded model is now: if its folder is gone, where it would be had it moved along with a run.

    Args:
        name: As recorded, in :func:`recorded_name`'s form.
        folder: Run that recorded it, or a folder in one.
    """
    gone = Path(name)
    if not gone.is_absolute() or gone.is_dir():
        return name
    for parent in folder.resolve().parents:
        for depth in range(1, len(gone.parts)):
            found = parent.joinpath(*gone.parts[depth:])
            if (found / "config.json").is_file():
                return str(found)
    return name


def load_tokenizer_of(path: Path) -> Any:
    """The tokenizer of a model folder, in mlx-lm's wrapper, which knows all tokens that end a reply."""
    from mlx_lm.utils import load_tokenizer

    try:
        return load_tokenizer(
            path,
            {
                "trust_remote_code": False,
                "local_files_only": True,
            },  # False, not absent: absent asks whether to run it
            eos_token_ids=end_tokens(path),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as problem:
        why = "it asks for code of its own to be run; that is never done" if asks_for_code(path) else problem
        raise RefusedError(f"{path}: no usable tokenizer: {' '.join(str(why).split())[:300]}") from problem


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
    inner: Any = getattr(model, "language_model", model)
    for path, module in inner.named_modules():
        last = path.rsplit(".", 1)[-1]
        if isinstance(module, nn.Embedding | nn.QuantizedEmbedding) and not POSITIONS.fullmatch(last):
            return path, module
    raise ConfigError("The model has no token embedding.")


def empty_model(config: dict[str, Any]) -> nn.Module:
    """The architecture that a configuration describes, with lazy random weights (nothing is computed).

    Raises:
        ConfigError: If mlx-lm has no such architecture.
        RefusedError: If the configuration lacks something that the architecture needs, or asks for a rotary embedding
            that it does not have.
    """
    from mlx_lm.utils import _get_classes

    config = for_mlx(config)
    try:
        model_class, arguments_class = _get_classes(config=config)
    except (KeyError, ValueError, AttributeError, TypeError) as problem:
        raise ConfigError(
            f"Architecture {config.get('model_type')!r} is not one that mlx-lm knows."
        ) from problem
    _refuse_lost_rope(config, arguments_class)
    try:
        return model_class(arguments_class.from_dict(config))
    except (KeyError, ValueError, AttributeError, TypeError, OverflowError) as problem:
        raise RefusedError(
            f"config.json does not describe a '{config['model_type']}' model: {problem}"
        ) from problem


def _refuse_lost_rope(config: Mapping[str, Any], arguments: Any) -> None:
    """Refuse a scaling for which an architecture of mlx-lm has no setting."""
    taken = set(getattr(arguments, "__dataclass_fields__", {}))
    nested = {"text_config", "rope_scaling", "rope_parameters"} & taken
    scaling = config.get("rope_scaling")
    if isinstance(scaling, dict) and not nested:
        kind = scaling.get("rope_type", scaling.get("type", "default"))
        if kind not in ("default", "mrope"):
            raise RefusedError(
                f"config.json: rope type '{kind}' is none that mlx-lm's '{config['model_type']}' computes."
            )


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
        _quantize_as_stored(model, stored, weights, path)
        cast = precision != "auto" or backend.name() == "cpu"
    else:
        _refuse_quantized(config, path)
        cast = True
    if cast:  # what is packed stays as it is
        weights = {
            name: array.astype(dtype) if mx.issubdtype(array.dtype, mx.floating) else array
            for name, array in weights.items()
        }
    _check_names(model, weights, path)
    # Gate and up are often stored as one tensor and split into views; MLX's grouped product on CUDA takes an expert's
    # stride from the shape and reads such a view wrongly.
    model.load_weights([(name, mx.contiguous(array)) for name, array in weights.items()])
    weights.clear()
    if quantize and not stored:
        _quantize(model, quantize, GROUP_SIZE)
    model.freeze()
    model.eval()
    _materialize(model)
    _refuse_nan(model, path)
    return model


def _refuse_nan(model: nn.Module, path: Path) -> None:
    """Refuse a base with a value that is not finite: whatever it computes is not, and training would be blamed."""
    for name, array in named_arrays(model.parameters()).items():
        if mx.issubdtype(array.dtype, mx.floating) and not bool(mx.isfinite(array).all()):
            raise RefusedError(
                f"{path}: the base's own '{name}' holds a value that is not finite in {array.dtype}."
            )


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


def stored_names(path: Path) -> set[str]:
    """Names of the tensors in a model folder's files."""
    found: set[str] = set()
    for shard in path.glob("model*.safetensors"):
        with safe_open(shard, framework="numpy") as file:
            found.update(file.keys())
    return found


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


def _quantize_as_stored(
    model: nn.Module, stored: Mapping[str, Any], weights: Mapping[str, mx.array], path: Path
) -> None:
    """Quantise the layers that a folder holds quantised, each as it was: affine, mxfp4, mxfp8 or nvfp4."""
    from mlx_lm.utils import infer_quant_config

    def predicate(layer: str, module: nn.Module) -> Any:
        if not hasattr(module, "to_quantized") or f"{layer}.scales" not in weights:
            return False
        own = stored.get(layer)
        settings = dict(own) if isinstance(own, dict) else infer_quant_config(layer, module, weights)
        if f"{layer}.global_scale" in weights:
            settings["global_scale"] = True
        return settings

    try:
        nn.quantize(
            model,
            stored["group_size"],
            stored["bits"],
            mode=stored.get("mode", "affine"),
            class_predicate=predicate,
        )
    except (KeyError, ValueError, TypeError) as problem:
        raise RefusedError(f"{path}: 'quantization' of config.json cannot be used: {problem}") from problem


def _refuse_quantized(config: Mapping[str, Any], path: Path) -> None:
    table = config.get("quantization_config")
    if isinstance(table, dict):
        raise RefusedError(
            f"{path}: quantised by '{table.get('quant_method')}'; convert it once with: mlx_lm.convert --hf-path {path}"
        )


def _quantize(model: nn.Module, bits: int, group_size: int) -> None:
    """Quantise in place, lazily, by the architecture's own rule."""
    rule = getattr(model, "quant_predicate", None)

    def predicate(path: str, module: nn.Module) -> Any:
        if not hasattr(module, "to_quantized") or module.weight.shape[-1] % group_size:
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
    """Type that a model computes in: that of its embedding's output."""
    found: mx.Dtype = token_embedding(model)[1](mx.array([0])).dtype  # lazy: nothing is computed
    return found


def online() -> bool:
    """Whether fetching is allowed at all."""
    return os.environ.get("HF_HUB_OFFLINE", "0") in ("", "0")


def named_arrays(tree: Any) -> dict[str, mx.array]:
    """Arrays of a tree by their dotted names, sorted."""
    flat: Any = tree_flatten(tree)  # its stub says it may return a dictionary
    return {name: array for name, array in sorted(flat) if isinstance(array, mx.array)}
