"""What held-out texts share with the training data."""

from shared_data import shared_data

from lendsafe.corpus import load
from lendsafe.eval.scoring.leakage import leakage

OLD = (
    "We have declined your request for $12,000. The main reason is how much of your income goes to debt. "
    "The second reason is your late payments on other accounts."
)
NEW = (
    "Thank you for asking us. After a full review we can say yes to the loan. Low balances on your cards spoke "
    "for you, and so did the years in your job."
)


def test_the_same_template_with_other_figures():
    found = leakage([OLD], [OLD.replace("$12,000", "$7,500"), NEW])
    assert (found.repeated, found.families, found.rows, found.trained) == (1, 1, 2, 1)
    assert [(one.row, one.trained, one.overlap) for one in found.near] == [(0, 0, 1.0)]


def test_slots_count_as_figures():
    assert leakage([OLD], [OLD.replace("$12,000", "{loan_amount}")]).repeated == 1


def test_a_near_duplicate_is_named_with_its_nearest_training_text():
    nearly = OLD.replace("We have declined", "Sadly we declined")
    found = leakage([NEW, OLD], [nearly])
    assert found.repeated == 0
    assert [(one.row, one.trained) for one in found.near] == [(0, 1)]
    assert 0.6 <= found.near[0].overlap < 1


def test_new_texts_share_nothing():
    found = leakage([OLD], [NEW])
    assert (found.repeated, found.near, found.shared_sentences) == (0, (), 0.0)


def test_shared_sentences_are_a_share():
    half = OLD.split(". ")[1] + ". " + NEW.split(". ")[1] + "."
    assert leakage([OLD], [half]).shared_sentences == 0.5


def test_nothing_to_compare_with():
    assert leakage([], [NEW]) is None
    assert leakage([OLD], []) is None


def test_every_held_out_row_of_the_first_system_is_a_training_template():
    train, valid = load.train_and_valid(shared_data("lending/seed_training_examples.json"), seed=42)
    found = leakage([one.reply for one in train], [one.reply for one in valid])
    assert (found.rows, found.repeated, found.families) == (150, 150, 8)
    assert found.lines()[0].startswith("150 of 150 held-out texts are a training text with other figures (8 ")
