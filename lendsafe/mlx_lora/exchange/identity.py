"""What tells two bases apart: SHA-256 of all on which tokens or logits depend."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

SMALL = 1 << 30  # bytes; a base up to this size is identified by all of its content
# Neither tokens nor logits depend on these.
IMMATERIAL_FILES = (
    "generation_config.json",
    "*.index.json",
    "preprocessor_config.json",
    "processor_config.json",
    "adapter_config.json",
    "special_tokens_map.json",
    "trainer_state.json",
)
IMMATERIAL_SETTINGS = (
    "_name_or_path",
    "transformers_version",
    "use_cache",
    "eos_token_id",
    "pad_token_id",
    "bos_token_id",
)


def identity(path: Path, patterns: Sequence[str] = ("*.json", "*.jinja", "*.safetensors")) -> str:
    """SHA-256 that tells two bases apart: configuration, tokenizer, template and weights.

    Weights up to 1 GB are hashed whole; of larger ones the headers, sizes and a sample of each file. Files and settings
    on which neither tokens nor logits depend are passed over.
    """
    digest = hashlib.sha256()
    small = sum(one.stat().st_size for one in path.glob("*.safetensors")) <= SMALL
    for one in sorted(file for pattern in patterns for file in path.glob(pattern)):
        if any(one.match(name) for name in IMMATERIAL_FILES):
            continue
        if one.name == "config.json":
            digest.update(b"config.json\n" + _material(one))
            continue
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


def _material(path: Path) -> bytes:
    """A configuration without what describes it only; as it stands if it is no JSON object."""
    content = path.read_bytes()
    try:
        table = json.loads(content)
    except (ValueError, RecursionError):
        return content
    if not isinstance(table, dict):
        return content
    kept = {key: value for key, value in table.items() if key not in IMMATERIAL_SETTINGS}
    return json.dumps(kept, sort_keys=True).encode()
