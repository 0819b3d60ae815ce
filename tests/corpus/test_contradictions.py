"""The first system's rejections, read against their own applicants."""

from shared_data import shared_data

from lendsafe.corpus.contradictions import contradictions, rejections, untrue_claims
from lendsafe.corpus.load import load

GOOD = {"score": 700.0, "debt": 20.0, "late": 0.0, "inquiries": 0.0}
BAD = {"score": 600.0, "debt": 50.0, "late": 2.0, "inquiries": 5.0}
TEXT = "Score below acceptable range, DTI ratio exceeds policy limits, recent delinquencies and recent inquiries."


def test_427_of_586_rejection_texts_contradict_their_applicant():
    examples = load(shared_data("lending/seed_training_examples.json"))
    assert len(examples) == 1500
    assert len(rejections(examples)) == 586
    assert len(contradictions(examples)) == 427


def test_the_same_text_is_untrue_of_one_applicant_and_true_of_another():
    assert len(untrue_claims(TEXT, GOOD)) == 4
    assert untrue_claims(TEXT, BAD) == ()
