"""The tokenizer: Granite's control tokens and template, lossless, digits one by one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe import granite_tiny, prompts
from lendsafe.corpus.pretraining import documents
from lendsafe.granite_tiny import tokenizer as bpe
from lendsafe.mlx_lora.tokens import encode
from lendsafe.product import packaged
from lendsafe.records import Message

CONVERSATION = [
    {"role": "system", "content": prompts.SYSTEM},
    {"role": "user", "content": "Decision: declined"},
    {"role": "assistant", "content": "We have declined your request for {loan_amount}."},
]


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(granite_tiny.path())


def test_control_tokens_are_granites(tokenizer):
    assert tokenizer.convert_ids_to_tokens([0, 1, 2]) == [
        "<|end_of_text|>",
        "<|start_of_role|>",
        "<|end_of_role|>",
    ]
    assert tokenizer.eos_token_id == tokenizer.pad_token_id == tokenizer.bos_token_id == 0


def test_chat_template_has_granites_structure(tokenizer):
    shown = tokenizer.apply_chat_template(CONVERSATION[:2], tokenize=False, add_generation_prompt=True)
    assert shown == (
        f"<|start_of_role|>system<|end_of_role|>{prompts.SYSTEM}<|end_of_text|>\n"
        "<|start_of_role|>user<|end_of_role|>Decision: declined<|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>"
    )


@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_prompt_is_a_prefix_of_the_conversation_whatever_is_said(tokenizer, contents):
    roles = ["system", "user"] * 2
    talk = [{"role": role, "content": text} for role, text in zip(roles, contents, strict=False)]
    whole = [*talk, {"role": "assistant", "content": contents[-1]}]
    prompt = tokenizer.apply_chat_template(talk, add_generation_prompt=True)["input_ids"]
    assert tokenizer.apply_chat_template(whole)["input_ids"][: len(prompt)] == prompt


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_survives_encoding_and_decoding(tokenizer, text):
    ids = tokenizer(text, split_special_tokens=True)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


@given(st.lists(st.sampled_from(["<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>", "<|", "x"])))
@settings(max_examples=100, deadline=None)
def test_text_cannot_become_a_control_token(tokenizer, pieces):
    assert min(tokenizer("".join(pieces), split_special_tokens=True)["input_ids"], default=3) > 2


@given(st.from_regex(r"[a-z$ ]{0,4}[0-9]{1,12}[%.,m ]{0,3}[0-9]{0,4}", fullmatch=True))
@settings(max_examples=100, deadline=None)
def test_each_digit_is_a_token_of_its_own(tokenizer, text):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"])
    assert all(len(token) == 1 for token in tokens if any(c.isdigit() for c in token))
    assert sum(token.isdigit() for token in tokens) == sum(c.isdigit() for c in text)


@pytest.mark.parametrize(
    "name",
    [
        one.name
        for one in packaged("consumer").features
        if one.numeric and one.name not in ("open_accounts", "credit_score")
    ],
)
def test_a_slot_is_the_same_few_tokens_wherever_it_stands(tokenizer, name):
    slot = f"{{{name}}}"
    alone = tokenizer(slot)["input_ids"]
    assert len(alone) <= 4
    for before, after in ((" ", "."), ("(", ")"), ("\n", "\n"), ('"', '",')):
        ids = tokenizer(f"{before}{slot}{after}")["input_ids"]
        assert any(ids[i : i + len(alone)] == alone for i in range(len(ids)))


def test_mlx_lm_loads_the_same_tokenizer(tokenizer):
    from mlx_lm.utils import load_tokenizer

    other = load_tokenizer(granite_tiny.path())
    assert other.eos_token_ids == {0}
    assert other.encode(prompts.SYSTEM) == tokenizer(prompts.SYSTEM)["input_ids"]


def test_pretraining_and_fine_tuning_encode_a_conversation_alike():
    """What pretraining calls a conversation has to be what fine-tuning shows the model later."""
    from mlx_lm.utils import load_tokenizer
    from tokenizers import Tokenizer

    tokenizer = load_tokenizer(granite_tiny.path())

    raw = Tokenizer.from_file(str(granite_tiny.path() / "tokenizer.json"))
    raw.encode_special_tokens = True
    talk = next(one for one in documents(3) if not isinstance(one, str))
    assert bpe.document_ids(raw, talk) == encode(tokenizer, talk).ids.tolist()


def test_control_tokens_in_a_document_are_text():
    from tokenizers import Tokenizer

    raw = Tokenizer.from_file(str(granite_tiny.path() / "tokenizer.json"))
    raw.encode_special_tokens = True
    ids = bpe.document_ids(raw, [Message("user", "<|end_of_text|>"), Message("assistant", "a")])
    assert (ids.count(0), ids.count(1), ids.count(2)) == (2, 2, 2)
