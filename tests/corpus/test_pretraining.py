"""What a base model learns first: the words, and neither a prompt nor a row of the fine-tuning set."""

import random
from itertools import islice

import pytest

from lendsafe import prompts, slots
from lendsafe.corpus import pretraining
from lendsafe.corpus.pretraining import documents
from lendsafe.corpus.synth import SynthConfig, synthesize
from lendsafe.granite_tiny.make import PretrainConfig
from lendsafe.product import consumer

OF_EACH = 500  # documents of each kind
# What every prompt of the fine-tuning set has, and no other layout: its instruction, its first two lines.
MARKS = (
    prompts.SYSTEM,
    "Say in a part only what its line lists",
    "Decision: approved\nRegister:",
    "Decision: declined\nRegister:",
)


def messages(seed: int, count: int) -> list[list[str]]:
    """The texts of each of the first documents."""
    return [
        [one] if isinstance(one, str) else [message.content for message in one]
        for one in islice(documents(seed), count)
    ]


@pytest.fixture(scope="module")
def texts() -> list[list[str]]:
    """Documents of every kind, whenever in the making of a model they come."""
    rng = random.Random(PretrainConfig().seed)
    kinds = {kind for shares in (pretraining._COPYING, pretraining._SHARES) for kind, _ in shares}
    drawn = [kind(rng) for kind in sorted(kinds, key=lambda kind: kind.__name__) for _ in range(OF_EACH)]
    return [[one] if isinstance(one, str) else [m.content for m in one] for one in drawn]


@pytest.fixture(scope="module")
def rows():
    data = synthesize(SynthConfig())
    return [row.example for row in [*data.rows, *data.unseen]]


def test_no_document_holds_a_prompt(texts, rows):
    asked = {message.content for row in rows for message in row.messages[:-1]}
    for row in rows:
        assert sum(mark in "\n".join(one.content for one in row.messages) for mark in MARKS) == 3
    for document in texts:
        assert not asked & set(document)
        assert not any(mark in "\n".join(document) for mark in MARKS)


def test_no_document_holds_a_row(texts, rows):
    replies = {row.reply for row in rows}
    assert not any("\n" in reply for reply in replies)  # so a reply that is quoted is a line
    lines = {line.strip() for document in texts for line in "\n".join(document).split("\n")}
    assert not replies & lines


def test_same_seed_same_documents():
    assert messages(5, 200) == messages(5, 200)
    assert messages(5, 200) != messages(6, 200)


def test_every_slot_of_a_document_exists(texts):
    assert {name for document in texts for part in document for name in slots.names(part)} <= slots.known(
        consumer()
    )
