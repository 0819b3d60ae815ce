"""Generating in batches with a cached prefix writes what generating one by one writes."""

import mlx.core as mx
import pytest
from small_granite import VOCABULARY, small_model

from lendsafe.mlx_lora import generate as module
from lendsafe.mlx_lora.generate import generate

PREFIX = [(7 * i) % (VOCABULARY - 3) + 3 for i in range(20)]


class Ids:
    """A tokenizer whose text is the ids."""

    def __init__(self, *ends: int) -> None:
        self.eos_token_ids = set(ends)

    def decode(self, ids):
        return " ".join(map(str, ids))


@pytest.fixture(scope="module")
def model():
    model = small_model()
    model.eval()
    return model


def plainly(model, prompt, count):
    """Greedy, without any cache."""
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(mx.argmax(model(mx.array(ids)[None])[0, -1]).item()))
    return ids[len(prompt) :]


PROMPTS = [PREFIX + own for own in ([5, 9, 11], [5], [30, 31, 32, 33, 34], [8, 8])]


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_replies_equal_greedy_decoding_without_a_cache(model, batch_size):
    replies = generate(model, Ids(), PROMPTS, max_tokens=6, batch_size=batch_size)
    for prompt, reply in zip(PROMPTS, replies, strict=True):
        assert reply.text == Ids().decode(plainly(model, prompt, 6))
        assert (reply.tokens, reply.finished) == (6, False)


def test_the_prefix_that_all_prompts_share_is_computed_once(model, monkeypatch):
    seen = []
    real = module._prefix_caches
    monkeypatch.setattr(
        module,
        "_prefix_caches",
        lambda m, prefix, count: seen.append((list(prefix), count)) or real(m, prefix, count),
    )
    generate(model, Ids(), PROMPTS, max_tokens=2)
    assert seen == [(PREFIX, len(PROMPTS))]


def test_a_reply_ends_with_its_end_mark_which_is_counted_and_not_shown(model):
    written = plainly(model, PROMPTS[0], 6)
    end = written[2]
    reply = generate(model, Ids(end), [PROMPTS[0]], max_tokens=6)[0]
    place = written.index(end)
    assert reply.text == Ids().decode(written[:place])
    assert (reply.tokens, reply.finished) == (place + 1, True)


def test_samples_depend_on_the_seed_alone(model):
    def sample(seed):
        return [one.text for one in generate(model, Ids(), PROMPTS, max_tokens=8, temperature=1.0, seed=seed)]

    assert sample(1) == sample(1) != sample(2)


def test_prompts_with_nothing_in_common_share_nothing():
    assert module._shared_prefix([[1, 2, 3], [2, 2, 3]]) == 0
    assert module._shared_prefix([[*PREFIX, 1], [*PREFIX, 2]]) == len(PREFIX)
    assert module._shared_prefix([PREFIX, PREFIX]) == len(PREFIX) - 1
    assert module._shared_prefix([PREFIX]) == 0
