"""Conversations to training examples; all that cannot be used are named at once."""

from collections.abc import Mapping, Sequence

from lendsafe.errors import DataError
from lendsafe.mlx_lora.config import TrainConfig
from lendsafe.mlx_lora.exchange.loading import Base, embedding_rows, position_limit
from lendsafe.mlx_lora.runs import record
from lendsafe.mlx_lora.tokens import Tokens, check_ids, encode_all, replies

NAMED = 2  # examples that are named for one problem; the rest are counted
SHOWN = 20  # problems of examples that are printed; the rest are counted


def tokenize(
    base: Base, conversations: Sequence[record.Conversation], config: TrainConfig, names: Sequence[str] = ()
) -> list[Tokens]:
    """Token ids of every conversation.

    Args:
        base: Whose tokenizer and chat template.
        conversations: Any number.
        config: Longest example, and what to do with a longer one.
        names: What to call them in messages; their numbers if empty.

    Raises:
        DataError: Naming every example that cannot be used, at once.
    """
    found, problems = [], dict[str, list[str]]()
    rows, limit = embedding_rows(base.model), position_limit(base.config)
    learned = [
        (names[number] if names else f"example {number + 1}", part)
        for number, conversation in enumerate(conversations)
        for part in replies(conversation, every=config.turns == "all")
    ]
    control = config.control_tokens == "replies"
    encoded = encode_all(base.tokenizer, (part for _, part in learned), config.max_length, control=control)
    for (name, _), one in zip(learned, encoded, strict=True):
        try:
            if isinstance(one, DataError):
                raise one
            if one.cut and config.overlong == "drop":
                continue
            _require_fit(base, one, config, rows, limit)
        except DataError as problem:
            problems.setdefault(str(problem), []).append(name)
            continue
        found.append(one)
    if problems:
        raise DataError(_told(problems, len(conversations)))
    return found


def _require_fit(base: Base, one: Tokens, config: TrainConfig, rows: int, limit: int | None) -> None:
    """Refuse an example that the base has no embeddings or no positions for, or that is longer than asked for."""
    check_ids(base.tokenizer, [int(one.ids.max())], rows)
    if one.cut and config.overlong == "refuse":
        raise DataError(
            f"longer than {config.max_length} tokens; raise --max-length or pass --overlong truncate or drop"
        )
    if limit is not None and len(one) > limit:
        raise DataError(
            f"{len(one):,} tokens, but the base has {limit:,} positions; pass --max-length {limit}"
        )


def _told(problems: Mapping[str, Sequence[str]], count: int) -> str:
    """Problems with the names of the examples that have them; one that many have is told once, with the first."""
    lines = []
    for problem, names in problems.items():
        rest = f" and {len(names) - NAMED} more of {count}" if len(names) > NAMED else ""
        lines.append(f"{', '.join(names[:NAMED])}{rest}: {problem}")
    if len(lines) == 1:
        return lines[0]
    total = sum(map(len, problems.values()))
    left = [f"... and {len(lines) - SHOWN} more."] if len(lines) > SHOWN else []
    return "\n".join([f"{total} examples cannot be used; nothing was trained.", *lines[:SHOWN], *left])
