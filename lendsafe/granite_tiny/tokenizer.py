"""granite-tiny's tokenizer: byte-level BPE with Granite 3.1's role tokens and our chat template."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from lendsafe.files import write_atomically, write_json
from lendsafe.records import Message

END, START_ROLE, END_ROLE = "<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>"
SPECIAL = (END, START_ROLE, END_ROLE)  # ids 0, 1, 2; as in Granite 3.1 the first is bos, eos, pad and unk

END_ROLE_ID = SPECIAL.index(END_ROLE)

# What a token may span: a slot or name with its underscores, so that `{debt_to_income}` is one token
# wherever it stands; a word with the space before it; one digit; punctuation; space.
PIECES = r"\{[\p{L}_]*\}?| ?[\p{L}_]+\}?|\p{N}| ?[^\s\p{L}\p{N}_{}]+|\}|\s+(?!\S)|\s"

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '" + START_ROLE + "' + message['role'] + '" + END_ROLE + "'"
    " + message['content'] + '" + END + "\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    "{{- '" + START_ROLE + "assistant" + END_ROLE + "' -}}"
    "{%- endif -%}"
)


def train(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Learn the merges.

    Args:
        texts: Plain text; control tokens in it would be learned as text.
        vocab_size: Tokens in all, the special ones and 256 bytes included.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path, max_length: int) -> None:
    """Write the files that transformers and mlx-lm load."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "additional_special_tokens": [START_ROLE, END_ROLE],
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": max_length,
        "padding_side": "right",
    }
    write_json(folder / "tokenizer_config.json", config)
    write_atomically(folder / "chat_template.jinja", CHAT_TEMPLATE)


def document_ids(tokenizer: Tokenizer, document: str | Sequence[Message]) -> list[int]:
    """Ids of a pretraining document, ended; contents are text, whatever they spell.

    ``tokenizer`` must have ``encode_special_tokens`` set.
    """
    if isinstance(document, str):
        return [0, *tokenizer.encode(document).ids, 0]
    newline = tokenizer.encode("\n").ids
    ids: list[int] = []
    for message in document:
        role, content = tokenizer.encode(message.role).ids, tokenizer.encode(message.content).ids
        ids += [1, *role, 2, *content, 0, *newline]
    return ids[: -len(newline)]
