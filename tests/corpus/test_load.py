"""Training files in every shape and form; every problem of a bad one at once, with its place."""

import csv
import io
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lendsafe.corpus.load import load, split, train_and_valid, training_data
from lendsafe.corpus.reading import SHOWN, BadFileError
from lendsafe.corpus.synth import SynthConfig, write
from lendsafe.errors import DataError
from lendsafe.mlx_lora.tokens import Turn
from lendsafe.records import Message

PLAIN = {"instruction": "Explain the decision.", "input": "Decision: approved", "output": "It is approved."}
PAIR = {"prompt": "Explain, please.", "completion": 'We said "yes",\nand meant it: 5 %.'}
CHAT = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "Because."},
    ]
}
EXPECTED = {
    "plain": (
        Message("user", "Explain the decision.\n\nDecision: approved"),
        Message("assistant", "It is approved."),
    ),
    "pair": (Message("user", "Explain, please."), Message("assistant", PAIR["completion"])),
    "chat": (Message("system", "Be brief."), Message("user", "Why?"), Message("assistant", "Because.")),
}
SHAPES = {"plain": PLAIN, "pair": PAIR, "chat": CHAT}


def as_csv(rows) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(
        {key: value if isinstance(value, str) else json.dumps(value) for key, value in row.items()}
        for row in rows
    )
    return buffer.getvalue()


FORMS = {
    "json": lambda rows: json.dumps(rows, indent=2),
    "jsonl": lambda rows: "".join(json.dumps(row) + "\n" for row in rows),
    "csv": as_csv,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_loads_from_every_form(tmp_path, shape, form):
    path = tmp_path / f"data.{form}"
    path.write_text(FORMS[form]([SHAPES[shape]]))
    assert [one.messages for one in load(path)] == [EXPECTED[shape]]


def test_shapes_may_be_mixed_and_lines_may_end_like_windows(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes("\r\n".join(json.dumps(one) for one in SHAPES.values()).encode() + b"\r\n\r\n")
    assert [one.messages for one in load(path)] == list(EXPECTED.values())


TEXT = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=40
).filter(str.strip)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4, unique=True))
def test_any_text_survives_every_form(tmp_path_factory, pairs):
    rows = [{"prompt": prompt, "completion": reply} for prompt, reply in pairs]
    folder = tmp_path_factory.mktemp("forms")
    for form, written in FORMS.items():
        path = folder / f"data.{form}"
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(written(rows))
        found = [(one.messages[0].content, one.reply) for one in load(path)]
        assert found == pairs, form


# ---------------------------------------------------------------- problems


def problems(tmp_path, content, name="data.jsonl") -> list[tuple[int, int, str, str]]:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    with pytest.raises(BadFileError) as caught:
        load(path)
    for one in caught.value.problems:
        assert str(one).startswith(f"{path}:")
    return [(one.line, one.column, one.field, one.message) for one in caught.value.problems]


OK = '{"prompt": "a", "completion": "b"}\n'


@pytest.mark.parametrize(
    ("content", "line", "column", "field", "said"),
    [
        (OK + '{"prompt": "a", "completion": }\n', 2, 31, "", "is not JSON"),
        (OK + '{"prompt": "c"}\n', 2, 0, "completion", "is missing"),
        (OK + '{"prompt": "c", "completion": "  "}\n', 2, 17, "completion", "has no reply"),
        (OK + '{"prompt": " ", "completion": "d"}\n', 2, 2, "prompt", "is empty"),
        (OK + '{"prompt": 5, "completion": "d"}\n', 2, 2, "prompt", "is a number; expected text"),
        (OK + '{"prompt": "c", "completion": {"d": 1}}\n', 2, 17, "completion", "is an object; expected text"),
        (
            OK + '{"prompt": "c", "completion": "d", "promt": "e"}\n',
            2, 36, "promt", "is an unknown key. Did you mean 'prompt'?",
        ),
        (OK + '{"prompt": "c", "completion": "d", "split": "test"}\n', 2, 36, "split", "expected one of train, valid"),
        (OK + '{"prompt": "c", "completion": "d", "seed": NaN}\n', 2, 36, "seed", "not finite"),
        (OK + '{"prompt": "c", "completion": "d", "seed": -Infinity}\n', 2, 36, "seed", "not finite"),
        (OK + '{"prompt": "c", "completion": "d", "seed": 1e999}\n', 2, 36, "seed", "not finite"),
        (OK + '{"prompt": "c", "completion": "d", "completion": "e"}\n', 2, 17, "completion", "stands twice"),
        (OK + '{"prompt": "c\\u0000", "completion": "d"}\n', 2, 2, "prompt", "NUL"),
        (OK + '{"prompt": "c\\ud800", "completion": "d"}\n', 2, 2, "prompt", "half of a surrogate pair"),
        (OK + "[1]\n", 2, 1, "", "is a list; expected an object"),
        (OK + "null\n", 2, 1, "", "is null; expected an object"),
        (OK + '{"id": "x"}\n', 2, 0, "", "has no conversation"),
        (OK + OK, 2, 0, "", "repeats line 1"),
        (OK + '{"prompt":' + "[" * 60_000 + "\n", 2, 1, "", "nested too deeply"),
        (OK + '{"seed": ' + "9" * 5_000 + "}\n", 2, 1, "", "too many digits"),
        (OK.encode() + b'{"prompt": "caf\xe9"}\n', 2, 16, "", "is not UTF-8 (byte 0xe9)"),
        ("", 0, 0, "", "is empty"),
        ("\n \n", 0, 0, "", "is empty"),
    ],
)  # fmt: skip
def test_a_problem_has_line_column_and_field(tmp_path, content, line, column, field, said):
    found = problems(tmp_path, content)
    assert [(one[0], one[1], one[2]) for one in found] == [(line, column, field)]
    assert said in found[0][3]


@pytest.mark.parametrize(
    ("content", "line", "column", "field", "said"),
    [
        ("prompt,completion\na,b\nc\n", 3, 0, "", "has 1 cells; the header has 2"),
        ("prompt,completion,prompt\na,b,c\n", 1, 1, "prompt", "is the name of two columns"),
        ("prompt,completion\na,\n", 2, 2, "completion", "has no reply"),
        ('prompt,completion\na,"b\n', 2, 0, "", "is not CSV"),
        ("prompt,completion\n", 0, 0, "", "has a header and no rows"),
        ("prompt,completion\na\0,b\n", 2, 1, "prompt", "NUL"),
        ('messages\n"[1,"\n', 2, 1, "messages", "is not JSON"),
        ('messages\n"' + "[" * 60_000 + '"\n', 2, 1, "messages", "nested too deeply"),
        ('prompt,completion,style\na,b,"{""register"": NaN}"\n', 2, 3, "style", "not finite"),
        ('prompt,completion,style\na,b,"{""register"": ""loud""}"\n', 2, 3, "style", "'register' is 'loud'"),
        ("prompt,completion\n" + "a" * 17_000_000 + ",b\n", 2, 0, "", "field larger than field limit"),
    ],
)
def test_a_problem_of_a_csv_file_has_line_cell_and_column_name(tmp_path, content, line, column, field, said):
    found = problems(tmp_path, content, "data.csv")
    assert [(one[0], one[1], one[2]) for one in found] == [(line, column, field)]
    assert said in found[0][3]


@pytest.mark.parametrize(
    ("content", "line", "column", "said"),
    [
        ('[\n {"prompt": "a", "completion": "b"}\n {', 3, 2, "expected ',' or ']'"),
        ('[\n {"prompt": "a", "completion": "b"},\n {"prompt": \n', 4, 1, "is not JSON"),
        ('[{"prompt": "a", "completion": "b"}] x', 1, 37, "text after the end"),
        ("[]", 0, 0, "is empty"),
        ('{"data": [\n{"prompt": "a", "completion": "b"}\n]\n}', 1, 0, "has no conversation"),
    ],
)
def test_a_problem_of_a_json_array_has_line_and_column(tmp_path, content, line, column, said):
    found = problems(tmp_path, content, "data.json")
    assert (line, column) in [(one[0], one[1]) for one in found]
    assert any(said in one[3] for one in found)


def test_all_problems_are_reported_at_once_and_nothing_is_loaded(tmp_path):
    lines = [OK, "{bad\n", '{"prompt": "c"}\n', '{"prompt": "d", "completion": 1, "decison": 2}\n']
    found = problems(tmp_path, "".join(lines))
    assert [(one[0], one[2]) for one in found] == [
        (2, ""),
        (3, "completion"),
        (4, "completion"),
        (4, "decison"),
    ]


def test_a_long_list_is_cut_and_says_where_the_rest_is(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text("".join(f'{{"prompt": "a{i}", "split": "{i}"}}\n' for i in range(100)))
    with pytest.raises(BadFileError) as caught:
        load(path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: 101 problems; nothing was loaded."
    assert len(lines) == SHOWN + 2
    assert lines[-1] == f"... and {101 - SHOWN} more; `lendsafe data check PATH --json` lists all."
    assert "'completion' is missing. (100 rows)" in str(caught.value)


def test_every_problem_of_an_assessment_is_named(tmp_path):
    assessment = {
        "applicant": {"applicant_id": "x", "loan_amount": -5, "credit_scor": 700},
        "decision": "maybe",
        "default_probability": 2,
        "reasons": [{"code": "delinquency", "contribution": 1, "strength": "big"}, 3],
    }
    row = {"prompt": "a", "completion": "b", "assessment": assessment}
    ((line, column, field, said),) = problems(tmp_path, json.dumps(row) + "\n")
    assert (line, column, field) == (1, 36, "assessment")
    for part in (
        "'applicant.loan_amount' is -5; expected an amount from 1 to 1000000 USD",
        "'applicant.credit_scor' is no field of product 'consumer'. Did you mean 'credit_score'?",
        "'decision' is 'maybe'; expected one of approved, declined, counteroffer, incomplete",
        "'default_probability' is 2; expected from 0 to 1",
        "'cutoff' is missing",
        "'reasons.strength' is 'big'",
        "'reasons' is 3; expected an object",
    ):
        assert part in said


def test_a_reason_that_is_in_no_catalogue_is_a_problem(tmp_path):
    assessment = {
        "applicant": {"applicant_id": "x", "loan_amount": 5},
        "decision": "declined",
        "default_probability": 0.5,
        "cutoff": 0.1,
        "reasons": [{"code": "delinquencies", "contribution": 1, "strength": "strong"}],
    }
    row = {"prompt": "a", "completion": "b", "assessment": assessment}
    ((_, _, _, said),) = problems(tmp_path, json.dumps(row) + "\n")
    assert (
        "'reasons.code' is 'delinquencies'; expected a reason of 'consumer'. Did you mean 'delinquency'?"
        in said
    )


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "prompt",
        "completion",
        "instruction",
        "input",
        "output",
        "messages",
        "assessment",
        "style",
        "split",
        "id",
        "x",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.dictionaries(KEYS, JSON_VALUES, max_size=4), min_size=1, max_size=3),
    st.sampled_from(["json", "jsonl"]),
)
def test_any_json_loads_or_is_a_data_error(tmp_path_factory, rows, form):
    path = tmp_path_factory.mktemp("any") / f"data.{form}"
    path.write_text(FORMS[form](rows))
    try:
        load(path)
    except DataError as bad:
        assert str(path) in str(bad)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120), st.sampled_from(["json", "jsonl", "csv"]))
def test_any_bytes_load_or_are_a_data_error(tmp_path_factory, content, form):
    path = tmp_path_factory.mktemp("any") / f"data.{form}"
    path.write_bytes(content)
    try:
        load(path)
    except DataError as bad:
        assert str(path) in str(bad)


# ---------------------------------------------------------------- files and folders


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing.jsonl", "no such file"),
        ("dat.jsonl", "no such file. Did you mean 'data.jsonl'?"),
        ("data.txt", "cannot tell what kind of data this is. Name it .json, .jsonl or .csv."),
        ("folder", "train.jsonl: no such file. A data folder holds train.jsonl"),
    ],
)
def test_a_place_that_is_no_data_set(tmp_path, name, said):
    (tmp_path / "data.jsonl").write_text(OK)
    (tmp_path / "data.txt").write_text(OK)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=said.replace("?", r"\?")):
        load(tmp_path / name)


def test_a_folder_whose_validation_rows_are_known_from_training_is_refused(tmp_path):
    (tmp_path / "train.jsonl").write_text(OK)
    (tmp_path / "valid.jsonl").write_text('{"prompt": "a", "completion": "another"}\n')
    with pytest.raises(BadFileError, match="shares 1 applicants or prompts with train.jsonl"):
        load(tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(0, 99), st.floats(0, 0.9))
def test_a_split_keeps_every_example_once_and_no_prompt_on_both_sides(
    tmp_path_factory, owners, seed, fraction
):
    path = tmp_path_factory.mktemp("split") / "data.jsonl"
    rows = [{"prompt": f"p{owner}", "completion": f"r{i}"} for i, owner in enumerate(owners)]
    path.write_text(FORMS["jsonl"](rows))
    examples = load(path)
    train, valid = split(examples, seed, fraction)
    assert Counter(one.id for one in train + valid) == Counter(one.id for one in examples)
    assert not {one.group for one in train} & {one.group for one in valid}
    assert len(valid) <= round(len(examples) * fraction)
    assert split(examples, seed, fraction) == (train, valid)


def test_1500_examples_without_splits_become_1350_and_150(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text(FORMS["jsonl"]([{"prompt": f"p{i}", "completion": "r"} for i in range(1500)]))
    train, valid = train_and_valid(path, seed=42)
    assert (len(train), len(valid)) == (1350, 150)


def test_splits_that_the_data_names_are_kept(tmp_path):
    write(SynthConfig(n=40, history=0), tmp_path / "data")
    for place in (tmp_path / "data", tmp_path / "data" / "training_examples.csv"):
        train, valid = train_and_valid(place, seed=1)
        assert (len(train), len(valid)) == (36, 4)
        assert {one.split for one in valid} == {"valid"}


# -- the shapes of other tools ---------------------------------------------------------------------

ASKED, SAID = Message("user", "Why?"), Message("assistant", "Because.")
CALL = {"type": "function", "function": {"name": "rate", "arguments": {"term": 36}}}
CALLS = json.dumps({"tool_calls": [CALL]})
OTHERS = {
    "sharegpt": (
        {"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Because."}]},
        (ASKED, SAID),
    ),
    "sharegpt with its system message beside it": (
        {
            "system": "Be brief.",
            "conversations": [{"from": "user", "value": "Why?"}, {"from": "assistant", "value": "Because."}],
        },
        (Message("system", "Be brief."), ASKED, SAID),
    ),
    "conversations with roles": (
        {"conversations": [{"role": "user", "content": "Why?"}, {"role": "model", "content": "Because."}]},
        (ASKED, SAID),
    ),
    "content parts": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Wh"}, {"type": "text", "text": "y?"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "Because."}]},
            ]
        },
        (ASKED, SAID),
    ),
    "a conversational pair": (
        {
            "prompt": [{"role": "user", "content": "Why?"}],
            "completion": [{"role": "assistant", "content": "Because."}],
        },
        (ASKED, SAID),
    ),
    "question and answer": ({"question": "Why?", "answer": "Because."}, (ASKED, SAID)),
    "plain text": ({"text": "Because."}, (Turn("assistant", "Because.", plain=True),)),
    "reasoning": (
        {
            "messages": [
                {"role": "user", "content": "Why?"},
                {"role": "assistant", "content": "Because.", "reasoning_content": "Think."},
            ]
        },
        (ASKED, Turn("assistant", "Because.", more='{"reasoning_content": "Think."}')),
    ),
    "weights": (
        {
            "messages": [
                {"role": "user", "content": "Why?"},
                {"role": "assistant", "content": "No.", "weight": 0},
                {"role": "user", "content": "Why?"},
                {"role": "assistant", "content": "Because.", "weight": 1},
            ]
        },
        (ASKED, Turn("assistant", "No.", weight=0), ASKED, Turn("assistant", "Because.", weight=1)),
    ),
    "tool calls, arguments as text": (
        {
            "tools": [{"type": "function", "function": {"name": "rate"}}],
            "messages": [
                {"role": "user", "content": "Why?"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"type": "function", "function": {"name": "rate", "arguments": '{"term": 36}'}}
                    ],
                },
                {"role": "tool", "content": "5", "name": "rate"},
                {"role": "assistant", "content": "Because."},
            ],
        },
        (
            Turn("user", "Why?", tools='[{"type": "function", "function": {"name": "rate"}}]'),
            Turn("assistant", "", more=CALLS),
            Turn("tool", "5", more='{"name": "rate"}'),
            SAID,
        ),
    ),
    "a call as sharegpt has it": (
        {
            "conversations": [
                {"from": "human", "value": "Why?"},
                {"from": "function_call", "value": '{"name": "rate", "arguments": {"term": 36}}'},
            ]
        },
        (ASKED, Turn("assistant", "", more=CALLS)),
    ),
}


@pytest.mark.parametrize(("row", "expected"), OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_the_shapes_of_other_tools_load(tmp_path, row, expected, form):
    path = tmp_path / f"data.{form}"
    path.write_text(FORMS[form]([row]))
    if form == "csv" and "prompt" in row:
        return  # a list in the cell of a text
    assert load(path)[0].messages == expected


def test_other_columns_are_kept(tmp_path):
    (tmp_path / "data.jsonl").write_text('{"prompt": "a", "completion": "b", "branch": 7, "officer": null}\n')
    assert load(tmp_path / "data.jsonl")[0].other == {"branch": 7, "officer": None}


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (
            {"role": "assistant", "content": "b", "weight": 0.5},
            "has weight 0.5 in message 2; expected 0 or 1.",
        ),
        ({"role": "assistant", "content": "b", "wieght": 1}, "has 'wieght' in message 2"),
        (
            {"role": "assistant", "content": [{"type": "image", "url": "x"}]},
            "has as content a list in message 2",
        ),
        ({"role": "assistant", "content": "b", "weight": 0}, "has the weight 0 in every reply"),
        ({"from": "function_call", "value": "rate()"}, "a function call in message 2 that is no JSON object"),
        ({"role": "nurse", "content": "b"}, "has role 'nurse' in message 2"),
        ({"content": "b"}, "needs 'role' and 'content' in message 2."),
    ],
)
def test_a_message_that_cannot_be_used_is_refused_by_name(tmp_path, turn, said):
    rows = json.dumps({"messages": [{"role": "user", "content": "a"}, turn]})
    (tmp_path / "data.jsonl").write_text(rows + "\n")
    with pytest.raises(BadFileError) as caught:
        load(tmp_path / "data.jsonl")
    assert said in str(caught.value)


def test_excels_byte_order_mark_is_passed_over(tmp_path):
    (tmp_path / "data.csv").write_text("\ufeffprompt,completion\na,b\n", "utf-8")
    assert load(tmp_path / "data.csv")[0].messages == (Message("user", "a"), Message("assistant", "b"))


def test_rows_that_repeat_another_are_refused_or_dropped(tmp_path):
    (tmp_path / "data.jsonl").write_text(OK + OK + '{"prompt": "c", "completion": "d"}\n')
    with pytest.raises(BadFileError, match="repeats line 1; remove one of the two, or pass --dedupe"):
        load(tmp_path / "data.jsonl")
    assert len(load(tmp_path / "data.jsonl", dedupe=True)) == 2


def test_validation_is_optional_and_may_be_capped(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.jsonl").write_text(
        "".join(f'{{"prompt": "a{i}", "completion": "b"}}\n' for i in range(100))
    )

    def sizes(**named):
        train, valid, notes = training_data(folder, seed=1, **{"most_valid": None, "dedupe": False, **named})
        return len(train), len(valid), len(notes)

    assert sizes(fraction=0.2) == (80, 20, 0)
    assert sizes(fraction=0.0) == (100, 0, 1)  # and it is said
    assert sizes(fraction=0.2, most_valid=5) == (80, 5, 1)
    (folder / "valid.jsonl").write_text('{"prompt": "v", "completion": "b"}\n')
    assert sizes(fraction=0.2) == (100, 1, 0)
