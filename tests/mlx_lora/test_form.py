"""Replies that are held to a form keep it, whatever the model prefers and however its tokenizer cuts words."""

import functools
import os
import random
import re
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.errors import ConfigError
from lendsafe.mlx_lora.exchange.loading import load, load_tokenizer_of, resolve
from lendsafe.mlx_lora.form import CLOSERS, START, Constraint, Form, Segment, State, Vocabulary, advance
from lendsafe.mlx_lora.generate import generate

NAMES = ("debt_to_income", "debt", "credit_score", "collections")
WORDS = (
    "We looked at your request and {credit_score} was low. It (the ratio) is high! Why? \u201cNo.\u201d"
    " caf\u00e9 \u2014 10% [reason 1] {x}"
)


@functools.cache
def tokenizer(kind: str):
    """granite-tiny's; byte-level as in GPT-2; SentencePiece with bytes for what is rare; a real one if it is there."""
    if kind == "granite-tiny":
        return load_tokenizer_of(resolve(kind))
    if kind == "real":
        folder = os.environ.get("LENDSAFE_SMOLLM2")
        if not folder:
            pytest.skip("LENDSAFE_SMOLLM2 names no folder")
        return load_tokenizer_of(Path(folder))
    return wrapped(made(kind))


def made(kind: str):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    inner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=kind == "sentencepiece"))
    special = ["<unk>", "<s>", "</s>", "<role>"]
    if kind == "sentencepiece":
        inner.pre_tokenizer = pre_tokenizers.Metaspace()
        inner.decoder = decoders.Sequence(
            [
                decoders.Replace("\u2581", " "),
                decoders.ByteFallback(),
                decoders.Fuse(),
                decoders.Strip(" ", 1, 0),
            ]
        )
        bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
        trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=special + bytes_, limit_alphabet=20)
    else:
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        )
    inner.train_from_iterator([WORDS, *(" ".join(WORDS.split()[n:]) for n in range(5))] * 3, trainer)
    if kind == "sentencepiece":  # bytes are text, not control
        import json

        whole = json.loads(inner.to_str())
        whole["added_tokens"] = [one for one in whole["added_tokens"] if not one["content"].startswith("<0x")]
        inner = Tokenizer.from_str(json.dumps(whole))
    return inner


def wrapped(inner):
    from mlx_lm.tokenizer_utils import TokenizerWrapper
    from transformers import PreTrainedTokenizerFast

    outer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="</s>",
        bos_token="<s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )
    return TokenizerWrapper(outer)


@functools.cache
def known(kind: str) -> Vocabulary:
    return Vocabulary(tokenizer(kind))


KINDS = ["granite-tiny", "byte-level", "sentencepiece", "real"]


@st.composite
def forms(draw: st.DrawFn) -> Form:
    inner = [f"[reason {n}]" for n in range(1, draw(st.integers(1, 4)))]
    slots = st.frozensets(st.sampled_from(NAMES), max_size=3)
    labels = ["[decision]", *inner]
    return Form(
        (
            *(Segment(label, draw(slots), draw(st.integers(1, 12))) for label in labels),
            Segment("[end]", draw(slots), draw(st.integers(1, 12)), required=draw(st.booleans())),
        )
    )


def chosen(constraint: Constraint, prefers, width: int) -> list[int]:
    """Tokens that a model with these preferences writes."""
    ids: list[int] = []
    while True:
        mask = np.array(constraint.allowed(width))
        assert mask.any()
        ids.append(prefers(mask, ids))
        assert len(ids) <= constraint.form.limit
        if ids[-1] in constraint._known.ends:
            return ids[:-1]
        constraint.take(ids[-1])


def at_random(seed: int, kind: str):
    """Chance preferences, some tokens far more likely than others, so that brackets and full stops come up."""
    rng = random.Random(seed)
    texts = known(kind).texts
    odd = [n for n, text in enumerate(texts) if set(text) & set("[]{}.\n<")]
    ends = [n for n, text in enumerate(texts) if set(text) & set(".!?")]

    def prefers(mask, ids):
        for some, share in ((odd, 0.3), (ends, 0.2)):
            if rng.random() < share and (able := [n for n in some if mask[n]]):
                return rng.choice(able)
        return int(rng.choice(np.flatnonzero(mask).tolist()))

    return prefers


def assert_keeps(form: Form, text: str) -> None:
    """The law, read with an expression that owes nothing to the code."""
    parts = []
    for one in form.segments:
        slot = "|".join(re.escape(f"{{{name}}}") for name in sorted(one.slots)) or "(?!)"
        parts.append(
            rf"{re.escape(one.label)}((?:(?:[^\[\]{{}}\n]|{slot})*[.!?][{re.escape(CLOSERS)}]* *)"
            + ("" if one.required else "| *")
            + ")"
        )
    found = re.fullmatch(" *" + "".join(parts), text)
    assert found, text
    for one, said in zip(form.segments, found.groups(), strict=True):
        if one.required:
            assert re.search(r"[^\W_]", said)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(form=forms(), seed=st.integers(0, 2**32))
def test_whatever_is_preferred_a_reply_that_ends_keeps_its_form(kind, form, seed):
    constraint = Constraint(form, known(kind))
    ids = chosen(constraint, at_random(seed, kind), len(known(kind).texts) + 5)
    if constraint.complete:
        text = tokenizer(kind).decode(ids)
        assert_keeps(form, text)
        assert "\ufffd" not in text  # no character is left half written
    else:  # given up, and said so
        assert len(ids) >= 2 * min(one.budget for one in form.segments)


@pytest.mark.parametrize("kind", KINDS)
def test_most_replies_end_within_their_budget_and_are_complete(kind):
    form = Form((Segment("[decision]", budget=24), Segment("[end]", frozenset(NAMES), budget=24)))
    done = 0
    for seed in range(20):
        constraint = Constraint(form, known(kind))
        chosen(constraint, at_random(seed, kind), len(known(kind).texts))
        done += constraint.complete
    assert done >= 10


TEXTS = [
    ("We looked at it.", "Your {credit_score} is low.", "Thank you!"),
    ("We said \u201cno.\u201d It is so.", "A ratio (of {debt_to_income}) is high.", ""),
    ("It's caf\u00e9 \u2014 isn't it?", "{collections} and {debt}. Two sentences.", "Bye."),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", TEXTS)
def test_every_token_of_a_reply_that_keeps_its_form_is_allowed(kind, texts):
    """So greedy decoding of a model that would keep the form is not changed by it."""
    form = Form(
        (Segment("[decision]"), Segment("[reason 1]", frozenset(NAMES)), Segment("[end]", required=False))
    )
    reply = " ".join(f"{one.label} {text}".rstrip() for one, text in zip(form.segments, texts, strict=True))
    ids = tokenizer(kind).encode(reply, add_special_tokens=False)
    constraint = Constraint(form, known(kind))
    for token in ids:
        assert np.array(constraint.allowed(len(known(kind).texts)))[token], known(kind).texts[token]
        constraint.take(token)
    assert constraint.complete
    assert np.array(constraint.allowed(len(known(kind).texts)))[known(kind).ends].all()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(form=forms(), seed=st.integers(0, 2**32), data=st.data())
def test_a_token_is_allowed_exactly_if_its_characters_are(kind, form, seed, data):
    """The masks, found by shapes and spellings, against one character after the other for every token."""
    constraint, vocabulary = Constraint(form, known(kind)), known(kind)
    prefers, width = at_random(seed, kind), len(known(kind).texts)
    for _ in range(data.draw(st.integers(0, 25))):
        token = prefers(np.array(constraint.allowed(width)), [])
        if token in vocabulary.ends:
            break
        constraint.take(token)
    if constraint.state is None or constraint._given_up(constraint.state):
        return
    mask = np.array(constraint.allowed(width))
    for token in random.Random(seed).sample(range(width), min(width, 1500)):
        if token not in vocabulary.ends:
            assert mask[token] == plainly(constraint, vocabulary.texts[token]), vocabulary.texts[token]


def plainly(constraint: Constraint, text: str) -> bool:
    state, closing = constraint.state, constraint._closing(constraint.state)
    for character in text:
        state = advance(
            constraint.form, state, character, closing=closing and state.segment == constraint.state.segment
        )
        if state is None:
            return False
    return bool(text)


FORM = Form(
    (
        Segment("[decision]"),
        Segment("[reason 1]", frozenset({"debt", "debt_to_income"})),
        Segment("[end]", required=False),
    )
)


@pytest.mark.parametrize(
    ("text", "there", "expected"),
    [
        ("[decision] No.", START, State(0, said=True, ended=True)),
        ("x", START, None),
        (" [reason 1]", START, None),
        ("[reason 1]", State(0, said=True, ended=True), State(1)),
        ("[end]", State(0, said=True, ended=True), None),  # another segment's
        ("[reason 1]", State(0, said=True), None),  # in the middle of a sentence
        (" .", State(0), None),  # no word, so no sentence
        (".[", State(0, said=True), State(0, "[", said=True, ended=True)),
        ("{debt}", State(0), None),  # has no slots
        ("{debt}", State(1), State(1, said=True)),
        ("{debt_to_income}", State(1), State(1, said=True)),
        ("{debt_to}", State(1), None),
        ("{}", State(1), None),
        ("]", State(1), None),
        ("}", State(1), None),
        ("\n", State(1), None),
        ("   ", State(1), None),
        ('."', State(1, said=True), State(1, said=True, ended=True)),
        ('. "', State(1, said=True), State(1, said=True)),
    ],
)
def test_by_hand(text, there, expected):
    state = there
    for character in text:
        state = state and advance(FORM, state, character, closing=False)
    assert state == expected


def test_when_its_budget_is_spent_a_segment_closes_at_its_next_sentence_end():
    said = State(1, said=True)
    assert advance(FORM, said, "x", closing=True)
    ended = advance(FORM, said, ".", closing=True)
    assert ended.ended
    assert advance(FORM, ended, "x", closing=True) is None
    assert advance(FORM, ended, " ", closing=True).ended
    assert advance(FORM, ended, "[", closing=True).open == "["


@pytest.mark.parametrize("label", ["reason", "[]", "[a[b]", "[a", "[a\n]", "[{a}]"])
def test_a_label_is_text_in_brackets(label):
    with pytest.raises(ConfigError, match="no label"):
        Segment(label)


def test_a_tokenizer_that_cannot_spell_a_label_is_refused():
    from tokenizers import Tokenizer, models, pre_tokenizers

    inner = Tokenizer(
        models.WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3, "[decision]": 4}, unk_token="<unk>")
    )
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    with pytest.raises(ConfigError, match="no token for"):
        Constraint(FORM, Vocabulary(wrapped(inner)))


def test_a_batch_holds_each_reply_to_its_own_form():
    """A base that was never taught a label."""
    base = load("granite-tiny")
    rows = [
        Form(
            (
                Segment("[decision]", budget=20),
                Segment("[reason 1]", frozenset({name}), budget=9),
                Segment("[end]", budget=5),
            )
        )
        for name in NAMES
    ] + [Form((Segment("[only]", budget=5),))]
    prompts = [
        base.tokenizer.encode(f"We {word}", add_special_tokens=False) for word in ("a", "b", "c", "d", "e")
    ]
    replies = generate(base.model, base.tokenizer, prompts, forms=rows, batch_size=3)
    alone = [
        generate(base.model, base.tokenizer, [p], forms=[f])[0] for p, f in zip(prompts, rows, strict=True)
    ]
    assert replies == alone
    sampled = generate(base.model, base.tokenizer, prompts, forms=rows, temperature=1.0, batch_size=3)
    assert any(one.finished for one in sampled)
    for reply, form in zip([*replies, *sampled], [*rows, *rows], strict=True):
        if reply.finished:
            assert_keeps(form, reply.text)
        assert reply.tokens <= form.limit


def test_a_form_that_the_free_reply_keeps_changes_nothing():
    """A model whose likeliest next token, whatever came before, spells a reply in the form."""
    tok = tokenizer("granite-tiny")
    ids = [*tok.encode("[decision] We say no. [end]", add_special_tokens=False), *tok.eos_token_ids]
    prompt = [7, 8]
    model = Parrot([*prompt, *ids], len(tok))
    free = generate(model, tok, [prompt], max_tokens=60)[0]
    held = generate(
        model, tok, [prompt], forms=[Form((Segment("[decision]"), Segment("[end]", required=False)))]
    )[0]
    assert free == held
    assert held.finished
    other = generate(model, tok, [prompt], forms=[Form((Segment("[decision]"), Segment("[end]")))])[0]
    assert other != free


class Parrot(nn.Module):
    """Says the same whatever it is asked: after token n of a text, token n + 1 is likeliest."""

    def __init__(self, ids, width):
        super().__init__()
        self.ids, self.width, self.layers = ids, width, []
        self.embed_tokens = nn.Embedding(width, 1)  # says which ids there are

    def make_cache(self):
        from mlx_lm.models.cache import KVCache

        return [KVCache()]

    def __call__(self, tokens, cache):
        batch, count = tokens.shape
        keys = mx.zeros((batch, 1, count, 4))
        at = cache[0].offset
        cache[0].update_and_fetch(keys, keys)
        start = np.array(at).reshape(-1)[0]
        rows = np.zeros((batch, count, self.width), np.float32)
        for place in range(count):
            rows[:, place, self.ids[min(int(start) + place + 1, len(self.ids) - 1)]] = 5
        return mx.array(rows)
