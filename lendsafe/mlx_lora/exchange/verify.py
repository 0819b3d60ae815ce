"""What other tools compute from what was written for them, by their own code, where they are installed."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from lendsafe.errors import RefusedError
from lendsafe.mlx_lora.exchange import loading

ROWS, LENGTH = 2, 16


def tokens(base: loading.Base) -> np.ndarray:
    """The batch that logits are compared on, ``(ROWS, LENGTH)``."""
    rows = loading.embedding_rows(base.model)
    return (np.arange(ROWS * LENGTH).reshape(ROWS, LENGTH) * 7919 + 11) % rows


def by_mlx_lm(base: loading.Base, folder: Path, batch: np.ndarray, precision: str) -> tuple[np.ndarray, str]:
    """Logits of mlx-lm with the adapter of a folder, and who computed them."""
    from mlx_lm.tuner.utils import load_adapters

    model = loading.load_model(base.path, base.config, precision=precision, quantize=None)
    try:
        adapted: Any = load_adapters(model, str(folder))
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise RefusedError(
            f"{folder}: mlx-lm cannot load it: {' '.join(str(problem).split())[:200]}"
        ) from problem
    adapted.eval()
    return np.array(adapted(mx.array(batch)).astype(mx.float32)), f"mlx-lm {version('mlx-lm')}"


def by_transformers(
    folder: Path, config: dict[str, Any], batch: np.ndarray, adapter_folder: Path | None = None
) -> tuple[np.ndarray | None, str]:
    """Logits of transformers for a model folder, with a PEFT adapter if one is given.

    Args:
        folder: Model.
        config: Its configuration.
        batch: Token ids.
        adapter_folder: Of PEFT's form.

    Returns:
        The logits and who computed them, or None and why they could not be computed.

    Raises:
        RefusedError: If transformers does not find all its weights in the folder, or PEFT not all of its own.
    """
    who, missing = _tools(("transformers", "torch", *(("peft",) if adapter_folder else ())))
    if missing:
        return None, f"{missing} is not installed"
    if config.get("quantization"):
        return None, "the base is quantised as only MLX reads it"
    if not _fits(folder):
        return None, "it would take more than half of this machine's memory"
    import torch

    with _quiet():
        model = _transformers_model(folder, config)
        if model is None:
            return None, f"transformers has no architecture {config.get('architectures')}"
        if adapter_folder is not None:
            model = _with_adapter(model, adapter_folder)
        with torch.no_grad():
            logits: np.ndarray = model(input_ids=torch.tensor(batch)).logits.float().numpy()
    return logits, who


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' progress and warnings off the screen."""
    from transformers.utils import logging

    level, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def _tools(names: tuple[str, ...]) -> tuple[str, str]:
    """Those that compute, with their versions, and the first that is not installed."""
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            return "", name
    return (
        f"{'PEFT ' + version('peft') + ' and ' if 'peft' in names else ''}transformers {version('transformers')}",
        "",
    )


def _fits(folder: Path) -> bool:
    """Whether the weights in float32 take at most half of the memory."""
    stored = sum(one.stat().st_size for one in folder.glob("*.safetensors"))
    return 2 * stored <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2


def _transformers_model(folder: Path, config: dict[str, Any]) -> Any:
    import torch
    import transformers

    named = (config.get("architectures") or [None])[0]
    kind = getattr(transformers, str(named), None)
    if kind is None:
        return None
    options = {"dtype": torch.float32, "trust_remote_code": False, "local_files_only": True}
    try:
        model, report = kind.from_pretrained(folder, output_loading_info=True, **options)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as problem:
        raise RefusedError(
            f"{folder}: transformers cannot load it: {' '.join(str(problem).split())[:200]}"
        ) from problem
    lost = [*report["missing_keys"], *report.get("mismatched_keys", [])]
    if lost:
        raise RefusedError(
            f"{folder}: transformers finds no '{sorted(map(str, lost))[0]}' ({len(lost)} missing)."
        )
    return model.eval()


def _with_adapter(model: Any, folder: Path) -> Any:
    """PEFT's model; a tensor that it has no place for, or a place without a tensor, is a refusal."""
    from peft import PeftModel
    from peft.utils import load_peft_weights

    try:
        adapted = PeftModel.from_pretrained(model, folder)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as problem:
        raise RefusedError(
            f"{folder}: PEFT cannot load it: {' '.join(str(problem).split())[:200]}"
        ) from problem
    written = set(load_peft_weights(str(folder), device="cpu"))
    taken = {name.replace(".default", "") for name, _ in adapted.named_parameters() if "lora_" in name}
    if lost := sorted(written - taken):
        raise RefusedError(f"{folder}: PEFT has no place for '{lost[0]}' ({len(lost)} tensors).")
    return adapted.eval()
