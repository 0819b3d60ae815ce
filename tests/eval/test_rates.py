"""How many planted errors the checks find, and how many correct texts they flag.

The errors are planted by ``mutations``, which does not know the checks. The seed follows from the version, so that
every release meets other texts and other errors.
"""

import random
import sys
import time
import zlib
from collections import Counter
from functools import cache

import mutations
import pytest
from approved import language
from handwritten import handwritten

import lendsafe
from lendsafe import slots
from lendsafe.corpus import synth
from lendsafe.corpus.grammar import narrative
from lendsafe.eval.truth.checks import check
from lendsafe.eval.truth.examine import examine
from lendsafe.eval.truth.label import label

SEED = zlib.crc32(lendsafe.__version__.encode())
PLANTED, CORRECT = 500, 2_000


@cache
def examples():
    rows = synth.synthesize(synth.SynthConfig(n=400, history=0, seed=SEED)).rows
    return [(row.example.assessment, row.example.style) for row in rows]


def correct_text(rng):
    """A true narrative in any of the grammar's wordings, in slots or with figures."""
    about, style = rng.choice(examples())
    text = narrative(about, style, rng, wording=rng.choice(["train", "held_out", "all"]))
    return about, style, slots.render(text, slots.facts(about)) if rng.random() < 0.5 else text


def say(capsys, text):
    with capsys.disabled():
        sys.stdout.write(f"\n{text}\n")


def test_at_least_99_percent_of_planted_errors_are_found(capsys):
    rng = random.Random(SEED)
    planted, found, missed = Counter(), Counter(), []
    while planted.total() < PLANTED:
        kind = mutations.KINDS[planted.total() % len(mutations.KINDS)]
        about, style, text = correct_text(rng)
        error = mutations.plant(kind, about, style, text, rng)
        if error is None:
            continue
        planted[kind] += 1
        if check(error.text, about, style=style):
            found[kind] += 1
        else:
            missed.append(f"{kind}: {error.note} {error.wrong}")
    rates = {kind: f"{found[kind]}/{planted[kind]}" for kind in mutations.KINDS}
    report = f"seed {SEED}: {found.total()} of {PLANTED} planted errors found; {rates}; missed: {missed}"
    say(capsys, report)
    assert len(mutations.KINDS) == 12
    assert found.total() >= 0.99 * PLANTED, report


def test_at_most_1_percent_of_correct_texts_are_flagged(capsys):
    rng = random.Random(SEED + 1)
    texts = {correct_text(rng) for _ in range(CORRECT)}
    flagged = [(text, found[0]) for about, style, text in texts if (found := check(text, about, style=style))]
    report = f"seed {SEED + 1}: {len(flagged)} of {len(texts)} correct texts flagged; {flagged[:3]}"
    say(capsys, report)
    assert len({text for _, _, text in texts}) > 0.95 * CORRECT
    assert len(flagged) <= 0.01 * len(texts), report


def test_at_most_1_percent_of_handwritten_texts_are_flagged(capsys):
    texts = handwritten()
    flagged = [
        (one.text, found) for one in texts if (found := check(one.text, one.assessment, style=one.style))
    ]
    say(capsys, f"{len(flagged)} of {len(texts)} handwritten texts flagged")
    assert len(texts) == 60
    assert len(flagged) <= 0.01 * len(texts), flagged


@pytest.mark.soak
def test_10_000_narratives_are_checked_in_10_seconds():
    rng = random.Random(SEED + 2)
    texts = [correct_text(rng) for _ in range(10_000)]
    start = time.process_time()
    for about, style, text in texts:
        check(text, about, style=style)
    assert time.process_time() - start <= 10


@pytest.mark.soak
def test_10_000_replies_are_examined_in_10_seconds():
    rng = random.Random(SEED + 3)
    replies = []
    for _ in range(10_000):
        about, style = rng.choice(examples())
        text = narrative(about, style, rng, wording="all")
        replies.append((label(text, about, style, language()).reply, about, style))
    start = time.process_time()
    sent = sum(examine(reply, about, style, language()).sent for reply, about, style in replies)
    assert time.process_time() - start <= 10
    assert sent == len(replies)
