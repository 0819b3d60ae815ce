"""Prompts to texts, in batches; the prefix that all prompts share is computed once."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from lendsafe.errors import DataError
from lendsafe.mlx_lora.exchange.loading import embedding_rows, position_limit
from lendsafe.mlx_lora.form import Constraint, Form, vocabulary
from lendsafe.mlx_lora.tokens import check_ids

MIN_SHARED = 16  # tokens; a shorter shared prefix is not worth a cache of its own


@dataclass(frozen=True, slots=True)
class Generation:
    """One generated reply.

    Attributes:
        text: Without its end mark.
        tokens: Number of tokens generated, the end mark included.
        finished: Whether the model ended it, every segment of its form written; False if it ran into the
            limit, or a segment did not close.
    """

    text: str
    tokens: int
    finished: bool


def generate(  # noqa: PLR0913  # each is a choice of its own
    model: nn.Module,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int = 400,
    temperature: float = 0.0,
    seed: int = 0,
    batch_size: int = 32,
    forms: Sequence[Form] | None = None,
    done: Callable[[int], None] | None = None,
) -> list[Generation]:
    """Generate a reply to each prompt.

    Args:
        model: mlx-lm model, adapted or not.
        tokenizer: mlx-lm's wrapper; says which tokens end a reply.
        prompts: Token ids, the beginning of the reply last.
        max_tokens: Longest reply, where no form says it.
        temperature: 0 takes the likeliest token; above, samples.
        seed: Seed of the samples; no global generator is touched.
        batch_size: Replies generated side by side.
        forms: What each reply is held to, one a prompt; None leaves them free.
        done: Called with the number of replies finished so far.

    Returns:
        One generation a prompt, in the order of the prompts.

    Raises:
        ConfigError: If the tokenizer cannot write a form's labels.
        RefusedError: If a prompt has ids without an embedding.
        DataError: If a prompt leaves no room in the model's positions.
    """
    from mlx_lm.generate import BatchGenerator

    results: dict[int, list[int]] = {}
    finished: dict[int, bool] = {}
    held = [Constraint(form, vocabulary(tokenizer)) for form in forms or ()]
    if held and len(held) != len(prompts):
        raise ValueError(f"{len(held)} forms for {len(prompts)} prompts")
    wanted = [one.form.limit for one in held] or [max_tokens] * len(prompts)
    limits = _room(model, tokenizer, prompts, wanted)
    shared = _shared_prefix(prompts)
    caches = _prefix_caches(model, prompts[0][:shared], len(prompts)) if shared else None
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    generator = BatchGenerator(
        model,
        stop_tokens=[[token] for token in sorted(tokenizer.eos_token_ids)],
        sampler=_sampler(temperature, seed),
        completion_batch_size=batch_size,
        prefill_batch_size=batch_size,
    )
    try:
        own = [list(prompts[i][shared:]) for i in order]
        processors = [[held[i]] for i in order] if held else None
        uids = generator.insert(own, [limits[i] for i in order], caches=caches, logits_processors=processors)
        place = dict(zip(uids, order, strict=True))
        results = {i: [] for i in order}
        while responses := generator.next_generated():
            for response in responses:
                i = place[response.uid]
                if response.finish_reason != "stop":
                    results[i].append(response.token)
                if response.finish_reason is not None:
                    finished[i] = response.finish_reason == "stop"
                    if done:
                        done(len(finished))
    finally:
        generator.close()
    return [
        Generation(
            tokenizer.decode(results[i]),
            len(results[i]) + finished[i],
            finished[i] and (not held or held[i].complete),
        )
        for i in range(len(prompts))
    ]


def _room(
    model: nn.Module, tokenizer: Any, prompts: Sequence[Sequence[int]], wanted: Sequence[int]
) -> list[int]:
    """Tokens that may follow each prompt: as many as asked for, while the model has positions."""
    rows, limit = embedding_rows(model), position_limit(vars(getattr(model, "args", object)))
    for prompt in prompts:
        check_ids(tokenizer, prompt, rows)
        if limit is not None and len(prompt) >= limit:
            raise DataError(f"a prompt of {len(prompt):,} tokens; the model has {limit:,} positions")
    room = [
        limit - len(prompt) if limit is not None else most
        for prompt, most in zip(prompts, wanted, strict=True)
    ]
    return [min(one, most) for one, most in zip(room, wanted, strict=True)]


def _shared_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that all prompts begin with; each prompt keeps at least one of its own."""
    if len(prompts) < 2:
        return 0
    limit = min(map(len, prompts)) - 1
    first = prompts[0]
    same = next((i for i in range(limit) if any(p[i] != first[i] for p in prompts)), limit)
    return same if same >= MIN_SHARED else 0


def _prefix_caches(model: nn.Module, prefix: Sequence[int], count: int) -> list[Any]:
    from mlx_lm.models.cache import make_prompt_cache

    cache = make_prompt_cache(model)
    model(mx.array(list(prefix))[None], cache=cache)
    mx.eval([layer.state for layer in cache])
    return [copy.deepcopy(cache) for _ in range(count)]


def _sampler(temperature: float, seed: int) -> Callable[[mx.array], mx.array]:
    if temperature == 0:
        return lambda logprobs: mx.argmax(logprobs, axis=-1)
    keys = _keys(seed)
    return lambda logprobs: mx.random.categorical(logprobs / temperature, key=next(keys))


def _keys(seed: int) -> Iterator[mx.array]:
    key = mx.random.key(seed)
    while True:
        key, one = mx.random.split(key)
        yield one
