"""Model folders as publishers write them: a few thousand random weights, saved by transformers."""

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from lendsafe.mlx_lora.config import LoraConfig
from lendsafe.mlx_lora.exchange import adapter, loading
from lendsafe.mlx_lora.exchange.targets import adapters, add_adapters

VOCABULARY = 128
TOKENS = np.random.default_rng(0).integers(3, VOCABULARY, (2, 17))
TEMPLATE = (
    "{% for message in messages %}<role>{{ message['role'] }}</role>{{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<role>assistant</role>{% endif %}"
)
_GRANITE = {
    "logits_scaling": 2.0,
    "attention_multiplier": 0.3,
    "embedding_multiplier": 3.0,
    "residual_multiplier": 0.6,
    "attention_bias": False,
    "mlp_bias": False,
}
_MIXTURE = {"num_local_experts": 8, "num_experts_per_tok": 2}
_HYBRID = {
    "shared_intermediate_size": 40,
    "layer_types": ["mamba", "attention", "mamba"],
    "position_embedding_type": "rope",
    "mamba_n_heads": 8,
    "mamba_d_head": 16,
    "mamba_d_state": 16,
    "mamba_n_groups": 1,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_chunk_size": 16,
    "mamba_conv_bias": True,
    "mamba_proj_bias": False,
}
_OWN: dict[str, tuple[str, dict[str, Any]]] = {
    "granitemoe": ("GraniteMoeForCausalLM", _GRANITE | _MIXTURE),
    "granite": ("GraniteForCausalLM", _GRANITE),
    "granitemoehybrid": ("GraniteMoeHybridForCausalLM", _GRANITE | _MIXTURE | _HYBRID),
    "llama": ("LlamaForCausalLM", {"attention_bias": False, "mlp_bias": False}),
    "qwen3": ("Qwen3ForCausalLM", {"head_dim": 16, "attention_bias": False}),
    "qwen3_moe": (
        "Qwen3MoeForCausalLM",
        {
            "head_dim": 16,
            "num_experts": 8,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
            "norm_topk_prob": True,
            "attention_bias": False,
        },
    ),
}
ARCHITECTURES = tuple(_OWN)


def folder_config(architecture: str = "granitemoe", **changes: Any) -> dict[str, Any]:
    """``config.json`` as published before transformers 5."""
    name, own = _OWN[architecture]
    return (
        {
            "architectures": [name],
            "model_type": architecture,
            "hidden_size": 64,
            "num_hidden_layers": 3,
            "intermediate_size": 48,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "rms_norm_eps": 1e-5,
            "vocab_size": VOCABULARY,
            "max_position_embeddings": 512,
            "rope_theta": 10000.0,
            "tie_word_embeddings": True,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
        }
        | own
        | changes
    )


def torch_model(config: dict[str, Any], *, seed: int = 0) -> Any:
    """transformers' model with random weights, large enough that every layer matters.

    The router's are larger still, so that no rounding error chooses another expert.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config)).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "conv1d" not in name:
                parameter.normal_(std=0.08)
            if "router" in name or name.endswith("mlp.gate.weight"):
                parameter.mul_(20)
    return model


def model_folder(path: Path, architecture: str = "granitemoe", *, seed: int = 0, **changes: Any) -> Path:
    """Write a whole model folder: configuration, weights, tokenizer with a chat template."""
    config = folder_config(architecture, **changes)
    torch_model(config, seed=seed).save_pretrained(path)
    (path / "config.json").write_text(json.dumps(config, indent=1))
    tokenizer().save_pretrained(path)
    return path


def tokenizer() -> Any:
    """A tokenizer of whole words, with Granite-like control tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<s>", "</s>", "<role>", "</role>", "<unk>", "user", "assistant", "system"]
    words += [f"w{number}" for number in range(VOCABULARY - len(words))]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        additional_special_tokens=["<role>", "</role>"],
    )
    made.chat_template = TEMPLATE
    return made


def torch_logits(model: Any, tokens: np.ndarray = TOKENS) -> np.ndarray:
    """Logits of transformers' model."""
    import torch

    with torch.no_grad():
        return model(torch.tensor(tokens)).logits.numpy()


def mlx_logits(model: nn.Module, tokens: np.ndarray = TOKENS) -> np.ndarray:
    """Logits of mlx-lm's model."""
    return np.array(model(mx.array(tokens)))


def adapted(folder: Path, *targets: str, rank: int = 4, **settings: Any) -> tuple[loading.Base, LoraConfig]:
    """A base with adapters, none of whose arrays is zero."""
    base = loading.load(str(folder))
    config = LoraConfig(rank=rank, alpha=8.0, targets=targets, **settings)
    add_adapters(base.model, config)
    for number, layer in enumerate(adapters(base.model).values()):
        layer.lora_b = mx.random.normal(layer.lora_b.shape, key=mx.random.key(number)) * 0.05
    mx.eval(base.model.parameters())
    return base, config


def run_folder(folder: Path, out: Path, *targets: str, **settings: Any) -> loading.Base:
    """Write an adapter folder as training does; the base that made it, still adapted."""
    base, config = adapted(folder, *targets, **settings)
    out.mkdir(parents=True)
    adapter.save(out, base.model, config, base)
    return base


def numpy_arrays(base: loading.Base) -> dict[str, np.ndarray]:
    """Adapter arrays of a model."""
    return {name: np.array(array) for name, array in adapter.arrays(base.model).items()}


def assert_same_arrays(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Bit for bit."""
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array, err_msg=name)
