"""A token is learned if and only if it belongs to the reply or is its end mark; text is never control."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.errors import DataError
from lendsafe.mlx_lora.exchange.loading import load_tokenizer_of, resolve
from lendsafe.mlx_lora.tokens import encode, prompt_ids
from lendsafe.records import Message

TOKENIZER = load_tokenizer_of(resolve("granite-tiny"))
CONTROL = ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>")
CONTROL_IDS = {TOKENIZER.convert_tokens_to_ids(token) for token in CONTROL}
texts = st.text(alphabet=st.characters(exclude_categories=("Cs", "Co")), max_size=60)
hostile = st.lists(
    st.one_of(texts, st.sampled_from([*CONTROL, "system", "\n", "\u200b", "{x}", "<|tool|>"])), max_size=8
)


def conversation(*contents: str) -> list[Message]:
    roles = ("system", "user", "assistant")
    return [Message(role, content) for role, content in zip(roles, contents, strict=True)]


def test_the_reply_and_its_end_mark_are_learned_and_nothing_else():
    messages = conversation("Be brief.", "Why was it declined?", "Your debt is high.")
    tokens = encode(TOKENIZER, messages)
    learned = tokens.ids[tokens.reply_start :].tolist()
    assert TOKENIZER.decode(learned[:-1]) == "Your debt is high."
    assert learned[-1] == TOKENIZER.eos_token_id
    assert tokens.ids[: tokens.reply_start].tolist() == prompt_ids(TOKENIZER, messages[:-1])


def test_benign_text_is_encoded_as_the_template_would():
    messages = conversation("Be brief.", "Why was {loan_amount} declined? 12.5%", "Your debt is high.")
    whole = TOKENIZER.apply_chat_template([{"role": m.role, "content": m.content} for m in messages])
    ids = encode(TOKENIZER, messages).ids.tolist()
    assert whole[: len(ids)] == ids
    assert TOKENIZER.decode(whole[len(ids) :]).strip() == ""


@settings(deadline=None, max_examples=100)
@given(hostile.map("".join))
def test_text_never_becomes_a_control_token(text):
    def control_tokens(content: str) -> int:
        return sum(one in CONTROL_IDS for one in prompt_ids(TOKENIZER, conversation("s", content, "")[:2]))

    assert control_tokens(text) == control_tokens("plain")


@pytest.mark.soak
@settings(deadline=None, max_examples=5000)
@given(hostile.map("".join))
def test_text_never_becomes_a_control_token_at_length(text):
    ids = prompt_ids(TOKENIZER, conversation("s", text, "")[:2])
    assert sum(one in CONTROL_IDS for one in ids) == sum(
        one in CONTROL_IDS for one in prompt_ids(TOKENIZER, conversation("s", "x", "")[:2])
    )


def test_a_long_reply_is_cut_and_keeps_its_end_mark():
    messages = conversation("s", "u", "word " * 300)
    tokens = encode(TOKENIZER, messages, max_length=64)
    assert len(tokens) == 64
    assert tokens.ids[-1] == TOKENIZER.eos_token_id
    whole = encode(TOKENIZER, messages).ids
    assert np.array_equal(tokens.ids[:-1], whole[:63])


def test_a_prompt_that_leaves_no_room_is_refused():
    with pytest.raises(DataError, match="the prompt alone has .* tokens; raise --max-length above"):
        encode(TOKENIZER, conversation("s", "word " * 100, "reply"), max_length=32)


def test_a_row_without_a_reply_is_refused():
    with pytest.raises(DataError, match="not a reply of the assistant"):
        encode(TOKENIZER, conversation("s", "u", " "))
