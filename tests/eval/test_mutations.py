"""Planted errors: every kind plants, is wrong by the assessment's own data, and follows from the seed."""

import random
import re
from functools import cache

import handwritten as module
import pytest
from handwritten import handwritten
from mutations import KINDS, Case, Planted, plant, words
from prose import UNITS, Prose, figures, spoken, surfaces, value_of

from lendsafe import slots
from lendsafe.corpus.scenarios import random_assessment
from lendsafe.errors import DataError
from lendsafe.records import Assessment, Style, assessment_from_json, to_json
from lendsafe.template import template

SAMPLE = 150
ALWAYS = {
    "reason_dropped": 0.95,
    "reasons_swapped": 0.7,
    "wrong_role": 0.95,
}  # share that can be planted; else all


@cache
def correct_texts() -> list[tuple[Assessment, Style, str]]:
    """Template narratives of random assessments, half with slots, half with figures; then the handwritten."""
    found = []
    for seed in range(SAMPLE):
        one, style = random_assessment(random.Random(seed))
        text = template(one, style)
        found.append((one, style, slots.render(text, slots.facts(one)) if seed % 2 else text))
    return found + [(h.assessment, h.style, h.text) for h in handwritten()]


@cache
def planted(kind: str, seeds: int = 1) -> list[tuple[Case, Planted]]:
    cases = [Case(*one) for one in correct_texts()]
    tried = [
        (case, plant(kind, case.assessment, case.style, case.text, random.Random(f"{kind} {number} {seed}")))
        for number, case in enumerate(cases)
        for seed in range(seeds)
    ]
    return [(case, error) for case, error in tried if error is not None]


def rendered(case: Case, text: str) -> str:
    return slots.render(text, slots.facts(case.assessment))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_plants_an_error_that_the_length_does_not_betray(kind):
    errors = planted(kind)
    assert len(errors) >= ALWAYS.get(kind, 0.99) * SAMPLE
    for case, error in errors:
        assert error.kind == kind
        assert error.note
        assert error.text != case.text
        assert error.wrong in error.text
        assert 60 <= len(error.text.split()) <= 180


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_error_and_other_seeds_other_errors(kind):
    one, style, text = correct_texts()[4]
    first, again = (plant(kind, one, style, text, random.Random(3)) for _ in range(2))
    assert first == again
    assert len({str(plant(kind, one, style, text, random.Random(seed))) for seed in range(40)}) >= 4


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "reason_dropped"])
def test_a_kind_has_at_least_15_surface_forms(kind):
    assert len({error.wrong or error.text for _, error in planted(kind)}) >= 15


@pytest.mark.parametrize("table", ["prohibited", "internal_standards", "promise", "pii", "injection"])
def test_forbidden_sentences_are_many_and_different(table):
    sentences = words()[table]["sentences"]
    assert len(set(sentences)) == len(sentences) >= 25


def test_a_flipped_decision_states_what_was_not_decided():
    said = {"approved": words()["decision"]["say_declined"], "declined": words()["decision"]["say_approved"]}
    for case, error in planted("decision_flipped"):
        wrong = error.wrong
        assert wrong not in case.text
        assert wrong in said[case.assessment.decision] or any(
            other in wrong or re.search(pattern, " ".join(case.prose.sentences), re.IGNORECASE)
            for pattern, others in words()["decision"][case.assessment.decision]
            for other in others
        )


def test_a_changed_number_differs_from_every_true_figure_of_its_unit():
    for case, error in planted("number_changed"):
        (field,) = error.about
        new = float(re.search(r"not ([\d.e+]+?)\.$", error.note)[1])
        for other, value in case.values.items():
            if UNITS[other] == UNITS[field]:
                assert round(value) != round(new)


def test_a_wrong_role_is_a_true_figure_of_another_thing():
    for case, error in planted("wrong_role"):
        mine, other = error.about
        values = slots.facts(case.assessment)
        assert values[mine] != values[other]
        assert UNITS[mine] == UNITS[other]
        shown = rendered(case, error.wrong).lower()
        number = value_of(case.assessment, other)
        ways = [*surfaces(mine, number), *surfaces(other, number), f"{number:g}", spoken(round(number))]
        written = [way.lower() for way in ways]
        assert any(one in shown for one in written), error


def test_an_invented_reason_is_no_factor_of_the_assessment():
    for case, error in planted("reason_invented"):
        (code,) = error.about
        factors = (*case.assessment.reasons, *case.assessment.strengths)
        assert code not in {factor.code for factor in factors}
        assert error.wrong not in case.text


def test_a_dropped_reason_is_named_nowhere_any_more():
    for case, error in planted("reason_dropped"):
        assert error.about
        for code in error.about:
            assert code in case.shown
            assert not any(case.names(sentence, code) for sentence in Prose.of(error.text).sentences)


def test_swapped_reasons_are_in_another_order_than_the_assessment():
    for case, error in planted("reasons_swapped"):
        first, second = error.about
        order = list(case.shown)
        assert order.index(first) < order.index(second)
        if not error.wrong:  # moved, not ranked by a sentence
            after = Case(case.assessment, case.style, error.text)
            assert after.sentences_of(second)[0] < after.sentences_of(first)[0]
            assert case.sentences_of(first)[0] < case.sentences_of(second)[0]


def test_a_flipped_direction_is_about_a_factor_that_the_text_has_to_name():
    for case, error in planted("direction_flipped"):
        (code,) = error.about
        assert code in case.shown
        adverse = code in {factor.code for factor in case.assessment.reasons}
        assert ("adverse" if adverse else "favorable") in error.note


def test_personal_data_are_invented_anew():
    assert len({error.wrong for _, error in planted("pii")}) > SAMPLE - 10


def test_no_error_where_a_kind_has_no_place():
    one, style = random_assessment(random.Random(1))
    alone = assessment_from_json(
        {**to_json(one), "decision": "declined", "reasons": to_json(one)["reasons"][:1]}
    )
    text = template(alone, style)
    assert len(alone.reasons) == 1
    assert plant("reasons_swapped", alone, style, text, random.Random(0)) is None
    assert plant("reason_dropped", one, style, "We wrote nothing about it.", random.Random(0)) is None


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (612, "six hundred and twelve"),
        (43, "forty-three"),
        (12_500, "twelve thousand five hundred"),
        (0, "zero"),
    ],
)
def test_numbers_in_words(number, text):
    assert spoken(number) == text


@pytest.mark.parametrize(
    ("text", "field", "value", "found"),
    [
        ("You owe $25k.", "loan_amount", 25_000.0, "$25k"),
        ("It takes 43 percent of it.", "debt_to_income", 43.0, "43 percent"),
        ("It takes 143 percent of it.", "debt_to_income", 43.0, None),
        ("We saw three recent inquiries.", "inquiries_6m", 3.0, "three"),
        ("You asked for $25,000.50 once.", "loan_amount", 25_000.0, None),
        ("The score was six hundred and twelve.", "credit_score", 612.0, "six hundred and twelve"),
    ],
)
def test_figures_are_found_as_people_write_them(text, field, value, found):
    matches = [match["number"] for match in figures(text, field, value)]
    assert matches == ([found] if found else [])


def test_prose_is_put_together_as_it_was():
    text = "One is {loan_amount}. {credit_score} is two!\n\nThree? Yes."
    prose = Prose.of(text)
    assert len(prose.sentences) == 4
    assert str(prose) == text
    assert str(prose.insert(0, "Zero.")).startswith("Zero. One")
    assert str(prose.insert(4, "End.")) == text + " End."
    assert str(prose.without({1, 2})).split() == ["One", "is", "{loan_amount}.", "Yes."]


def test_handwritten_texts_are_sixty_and_each_names_its_factors_in_order():
    texts = handwritten()
    assert [h.form for h in texts].count("slots") == [h.form for h in texts].count("plain") == 30
    assert len({h.text for h in texts}) == 60
    for h in texts:
        case = Case(h.assessment, h.style, h.text)
        assert 60 <= len(h.text.split()) <= 180
        assert "!" not in h.text
        assert bool(slots.names(h.text)) == (h.form == "slots")
        assert slots.render(h.text, slots.facts(h.assessment))
        places = [case.sentences_of(code) for code in case.shown]
        assert all(places), (h.text, case.shown)


def test_handwritten_texts_are_validated():
    entry = {"form": "plain", "decision": "declined", "register": "plain", "detail": "standard", "text": "x"}
    entry |= {
        "applicant": {"loan_amount": 5},
        "reasons": [["delinquency", "slight"], ["inquiries", "strong"]],
    }
    with pytest.raises(DataError, match="strengths rise"):
        module._read(entry, 1)
    with pytest.raises(DataError, match="unknown code 'luck'"):
        module._read(entry | {"reasons": [["luck", "strong"]]}, 1)
    with pytest.raises(DataError, match="no factor"):
        module._read(entry | {"reasons": []}, 1)
    with pytest.raises(DataError, match="loan_amount"):
        module._read(entry | {"applicant": {"loan_amount": 0}, "reasons": []}, 1)
