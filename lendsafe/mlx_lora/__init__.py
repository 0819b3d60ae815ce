"""LoRA fine-tuning of language models on Apple's MLX. The word "loan" does not occur in it."""

from lendsafe.mlx_lora import backend as backend  # first: it loads OpenBLAS before MLX
