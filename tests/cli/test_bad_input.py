"""Every mistake of a user: one clear line on stderr, the documented exit code, nothing half written."""

import json
import shutil
from pathlib import Path

import pytest
from command import lendsafe
from model_folders import model_folder

from lendsafe.corpus.synth import SynthConfig, write

OK = [{"prompt": f"Explain {i}.", "completion": "We approved it."} for i in range(40)]


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    out = tmp_path_factory.mktemp("set") / "data"
    write(SynthConfig(n=40, history=0), out)
    return out


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No network, an empty cache, and a place of our own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache" / "hub"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def refused(code, *arguments, said, lines=1):
    """Run a command that must fail and leave nothing in the current folder that was not there."""
    before = everything()
    ran = lendsafe(*arguments)
    assert ran.code == code, ran
    assert ran.out == ""
    assert ran.err.startswith("Error: ")
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert len(ran.err.splitlines()) == lines, ran.err
    assert everything() == before
    return ran.err


def everything():
    return {(str(one), one.read_bytes() if one.is_file() else b"") for one in sorted(Path.cwd().rglob("*"))}


# ---------------------------------------------------------------- usage: 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dat"], "No such command 'dat'. Did you mean 'data'? See 'lendsafe --help'."),
        (["data", "chek"], "No such command 'chek'."),
        (["data", "check"], "Missing argument 'PATH'. See 'lendsafe data check --help'."),
        (["data", "synth", "--out", "x", "--sed", "1"], "No such option '--sed'."),
        (["data", "synth", "--out", "x", "--n", "many"], "'many' is not a valid integer"),
        (["data", "synth", "--out", "x", "--n", "7"], "'n' is 7; expected from 20 to 100000"),
        (["data", "synth"], "Missing option '--out'"),
        (["train", "--model", "granite-tiny"], "Missing --data, --out. Or continue a run with --resume RUN."),
        (["train", "--rank", "0", "--model", "granite-tiny", "--data", "d", "--out", "r"], "'rank' is 0"),
        (["train", "--precision", "f64"], "'f64' is not one of 'auto', 'float16'"),
        (
            ["train", "--learning-rate", "nan", "--model", "granite-tiny", "--data", "d", "--out", "r"],
            "finite",
        ),
        (["train", "--model", "nosuch", "--data", "d", "--out", "r"], "no such file"),
        (["export", "r", "--to", "onnx", "--out", "x"], "'onnx' is not one of 'peft', 'mlx', 'fused'"),
    ],
)
def test_usage(arguments, said):
    code = 3 if said == "no such file" else 2  # the data is looked at before the model
    refused(code, *arguments, said=said)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("learning_rat = 1", "'learning_rat' is an unknown key. Did you mean 'learning_rate'?"),
        ("epochs = 'three'", "'epochs' is 'three'; expected a whole number"),
        ("epochs = 0", "'epochs' is 0; expected from 1 to 1000"),
        ("epochs = ", "not TOML"),
        ("learning_rate = inf", "expected a finite number"),
        ("rank = 1\nrank = 2", "not TOML: Cannot overwrite a value"),
        ("rank = " + "9" * 5000, "not TOML"),
    ],
)
def test_configuration_file(tmp_path, toml, said):
    (tmp_path / "c.toml").write_text(toml)
    err = refused(
        2,
        "train",
        "--model",
        "granite-tiny",
        "--data",
        "d",
        "--out",
        "r",
        "--config",
        tmp_path / "c.toml",
        said=said,
    )
    assert "c.toml" in err


def test_a_missing_configuration_file_is_named():
    refused(
        2,
        "train",
        "--model",
        "granite-tiny",
        "--data",
        "d",
        "--out",
        "r",
        "--config",
        "no.toml",
        said="no.toml",
    )


# ---------------------------------------------------------------- data: 3

BAD_FILES = {
    "missing.jsonl": (None, "no such file"),
    "empty.json": ("", "is empty"),
    "malformed.jsonl": ('{"prompt": "a", "completion": "b"}\n{"prompt": "a",,}\n', "malformed.jsonl:2:16: is not JSON"),
    "type.jsonl": ('{"prompt": 3, "completion": "b"}\n', "type.jsonl:1:2: 'prompt' is a number; expected text"),
    "unknown.jsonl": (
        '{"prompt": "a", "completion": "b", "decison": "approved"}\n',
        "unknown.jsonl:1:36: 'decison' is an unknown key. Did you mean 'decision'?",
    ),
    "noreply.jsonl": ('{"prompt": "a", "completion": ""}\n', "noreply.jsonl:1:17: 'completion' has no reply"),
    "nan.jsonl": ('{"prompt": "a", "completion": "b", "seed": NaN}\n', "nan.jsonl:1:36: 'seed' holds a number that"),
    "twice.jsonl": ('{"prompt": "a", "prompt": "c", "completion": "b"}\n', "twice.jsonl:1:2: 'prompt' stands twice"),
    "deep.json": ("[" * 50_000, "nested too deeply"),
    "surrogate.jsonl": ('{"prompt": "\\udc00", "completion": "b"}\n', "half of a surrogate pair"),
    "nul.jsonl": ('{"prompt": "\\u0000", "completion": "b"}\n', "contains a NUL character"),
    "huge.csv": ("prompt,completion\na," + "b" * 17_000_000 + "\n", "huge.csv:2: is not CSV: field larger"),
    "kind.txt": ("hello", "cannot tell what kind of data this is"),
    "range.jsonl": (
        json.dumps(
            {
                "prompt": "a",
                "completion": "b",
                "assessment": {
                    "applicant": {"applicant_id": "x", "loan_amount": 9e9},
                    "decision": "declined",
                    "default_probability": 0.4,
                    "cutoff": 0.1,
                },
            }
        )
        + "\n",
        "'applicant.loan_amount' is 9000000000.0; expected an amount from 1 to 1000000 USD",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("verb", ["check", "train", "eval"])
def test_data_file(name, verb, tmp_path):
    content, said = BAD_FILES[name]
    path = tmp_path / name
    if content is not None:
        path.write_text(content, encoding="utf-8")
    arguments = {
        "check": ["data", "check", path],
        "train": ["train", "--model", "granite-tiny", "--data", path, "--out", "run"],
        "eval": ["eval", "--model", "granite-tiny", "--data", path, "--out", "eval"],
    }
    refused(3, *arguments[verb], said=said)


def test_all_problems_of_a_file_at_once(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"prompt": "a"}\n{oops}\n{"prompt": "a", "completion": 1, "decison": 2}\n')
    err = refused(
        3, "train", "--model", "granite-tiny", "--data", path, "--out", "run", said="4 problems", lines=5
    )
    assert [line.split(": ")[0] for line in err.splitlines()[1:]] == [
        f"{path}:{place}" for place in ("1", "2:2", "3:17", "3:34")
    ]


def test_all_problems_as_json_too(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text("".join(f'{{"prompt": "a{i}", "completion": "b", "type": "k{i}"}}\n' for i in range(50)))
    ran = lendsafe("data", "check", path, "--json")
    assert ran.code == 3
    report = json.loads(ran.out)
    assert len(report["problems"]) == 50
    assert report["problems"][49] | {"file": ""} == {
        "file": "",
        "line": 50,
        "column": 38,
        "field": "type",
        "message": "is 'k49'; expected one of adverse_action, standard_approval, detailed_factor_analysis.",
    }
    assert "... and 30 more" in ran.err


def test_problems_are_found_before_a_model_is_loaded(tmp_path, monkeypatch):
    def load(*arguments, **named):
        raise AssertionError("loaded a model")

    monkeypatch.setattr("lendsafe.mlx_lora.exchange.loading.load", load)
    path = jsonl(tmp_path / "bad.jsonl", [*OK, {"prompt": "a"}])
    refused(
        3, "train", "--model", "granite-tiny", "--data", path, "--out", "run", said="'completion' is missing"
    )


def test_a_set_smaller_than_a_batch(tmp_path):
    path = jsonl(tmp_path / "few.jsonl", OK[:3])
    refused(
        3, "train", "--model", "granite-tiny", "--data", path, "--out", "run",
        said="few.jsonl: 3 training examples; --batch-size is 4.",
    )  # fmt: skip


LONG = {"prompt": "Explain the long one.", "completion": "We approved it. " * 200}


def test_a_row_that_is_too_long_is_refused_by_file_and_line_if_asked(tmp_path):
    path = jsonl(tmp_path / "long.jsonl", [*OK[:7], LONG, *OK[7:], LONG | {"prompt": "Another."}])
    refused(
        3, "train", "--model", "granite-tiny", "--data", path, "--out", "run", "--overlong", "refuse",
        said=f"{path}:8, {path}:42: longer than 512 tokens; raise --max-length or pass --overlong truncate",
    )  # fmt: skip


def test_a_row_that_is_too_long_is_cut_counted_and_reported(tmp_path):
    path = jsonl(tmp_path / "long.jsonl", [*OK[:7], LONG, *OK[7:]])
    ran = lendsafe(
        "train", "--model", "granite-tiny", "--data", path, "--out", "run",
        "--max-steps", 1, "--samples", 0, "--seed", 1,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "warning: 1 of 37 examples are longer than --max-length 512; their replies are cut" in ran.err
    assert ran.out.startswith("run: 1 steps, training loss")


def test_a_prompt_that_leaves_no_room_is_refused_by_file_and_line(tmp_path):
    path = jsonl(tmp_path / "long.jsonl", [*OK, {"prompt": "word " * 600, "completion": "b"}])
    refused(
        3,
        "train",
        "--model",
        "granite-tiny",
        "--data",
        path,
        "--out",
        "run",
        said=f"{path}:41: the prompt alone",
    )


# ---------------------------------------------------------------- places: 5, 6


@pytest.mark.parametrize("kind", ["folder", "file"])
@pytest.mark.parametrize("verb", ["synth", "train", "eval", "demo", "export", "import-adapter"])
def test_a_place_that_holds_something_is_refused_and_left_as_it_is(verb, kind, small_set, run, tmp_path):
    if kind == "file":
        (tmp_path / "here" / "out").write_text("kept")
    else:
        (tmp_path / "here" / "out").mkdir()
        (tmp_path / "here" / "out" / "kept").write_text("kept")
    folder, base = run
    arguments = {
        "synth": ["data", "synth"],
        "train": ["train", "--model", "granite-tiny", "--data", small_set],
        "eval": ["eval", "--model", "granite-tiny", "--data", small_set],
        "demo": ["demo"],
        "export": ["export", folder, "--to", "peft"],
        "import-adapter": ["import-adapter", folder, "--model", base],
    }
    refused(
        6, *arguments[verb], "--out", "out", said="out is " + ("a file" if kind == "file" else "not empty")
    )


@pytest.mark.parametrize("verb", ["synth", "train"])
def test_a_place_below_a_file_cannot_be_written(verb, small_set, tmp_path):
    (tmp_path / "here" / "file").write_text("kept")
    arguments = {
        "synth": ["data", "synth"],
        "train": ["train", "--model", "granite-tiny", "--data", small_set],
    }
    refused(5, *arguments[verb], "--out", "file/below", said="file/below: Not a directory.")


def test_a_folder_without_permission_cannot_be_written(monkeypatch):
    def forbidden(path, *arguments, **named):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.mkdir", forbidden)  # root may write anywhere, so it is pretended
    refused(5, "data", "synth", "--out", "closed", said="closed: Permission denied.")


def test_a_name_that_is_too_long():
    refused(5, "data", "synth", "--out", "x" * 300, said="File name too long")


# ---------------------------------------------------------------- models: 2, 8, 9


def test_a_model_that_is_not_in_the_cache_names_the_command_that_fetches_it(small_set):
    for verb in (["train", "--data", small_set], ["eval", "--data", small_set]):
        refused(
            9, *verb, "--model", "ibm-granite/granite-3.1-3b-a800m-instruct", "--out", "out",
            said="hf download ibm-granite/granite-3.1-3b-a800m-instruct",
        )  # fmt: skip


def test_a_model_that_does_not_exist(small_set):
    refused(
        2,
        "train",
        "--model",
        "granit",
        "--data",
        small_set,
        "--out",
        "out",
        said="No model 'granit'. Did you mean 'granite-tiny'?",
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with an untrained adapter for a base of a few thousand parameters, and the base."""
    from lendsafe.mlx_lora.config import TrainConfig
    from lendsafe.mlx_lora.exchange import adapter, loading, targets

    base_folder = model_folder(tmp_path_factory.mktemp("base"), num_hidden_layers=2, hidden_size=32)
    base = loading.load(str(base_folder))
    targets.add_adapters(base.model, TrainConfig(), seed=1)
    out = tmp_path_factory.mktemp("run") / "run"
    out.mkdir()
    adapter.save(out, base.model, TrainConfig(), base)
    return out, base_folder


def test_an_adapter_for_another_base_is_refused(run, tmp_path):
    folder, _ = run
    other = model_folder(tmp_path / "other", num_hidden_layers=2, hidden_size=48)
    err = refused(8, "export", folder, "--to", "mlx", "--out", "out", "--model", other, said="another base")
    assert str(folder) in err


def test_a_damaged_adapter_is_refused(run, tmp_path):
    folder, _ = run
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    path = damaged / "adapters.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    refused(8, "export", damaged, "--to", "mlx", "--out", "out", said="damaged")


def test_a_folder_that_is_no_run():
    refused(8, "train", "--resume", "nowhere", said="nowhere: no run.json; not a training run.")
    refused(8, "export", "nowhere", "--to", "mlx", "--out", "out", said="nowhere")
