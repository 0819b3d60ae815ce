"""The house stands: who imports whom, how long files are, nothing unpickled, no network, a README that is true."""

import ast
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest
from help_pages import commands, pages

from lendsafe import errors

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = sorted((ROOT / "lendsafe").rglob("*.py"))
MOST_LINES = 500
LONGER = {"lendsafe/mlx_lora/runs/run.py": 640}  # one run from its first to its last line


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tracked() -> list[Path]:
    """Files under version control; all files where there is no repository."""
    ran = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True)
    if ran.returncode == 0 and ran.stdout:
        return [
            ROOT / one.decode() for one in ran.stdout.split(b"\0") if one and (ROOT / one.decode()).is_file()
        ]
    return [
        one
        for folder in ("lendsafe", "bench", "tests")
        for one in (ROOT / folder).rglob("*")
        if one.is_file()
    ]


def test_import_contracts_hold():
    pytest.importorskip("importlinter")
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 broken" in ran.stdout


@pytest.mark.parametrize("path", PACKAGE, ids=name)
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= LONGER.get(name(path), MOST_LINES)


BANNED_MODULES = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal", "jsonpickle"}
BANNED_CALLS = {"eval", "exec", "compile", "__import__", "breakpoint"}
BANNED_ARGUMENTS = {"trust_remote_code": True, "allow_pickle": True, "shell": True}


@pytest.mark.parametrize("path", PACKAGE, ids=name)
def test_nothing_is_unpickled_evaluated_or_given_to_a_shell(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not BANNED_MODULES & {one.name.split(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in BANNED_MODULES
        elif isinstance(node, ast.Call):
            assert not (isinstance(node.func, ast.Name) and node.func.id in BANNED_CALLS), node.lineno
            called = ast.unparse(node.func)
            assert called not in ("torch.load", "yaml.load", "os.system", "os.popen"), node.lineno
            for one in node.keywords:
                value = one.value.value if isinstance(one.value, ast.Constant) else None
                assert not (one.arg in BANNED_ARGUMENTS and value is True), node.lineno


def test_the_ban_sees_what_it_bans(tmp_path):
    for source in ("import pickle", "from joblib import load", "eval('1')", "f(trust_remote_code=True)"):
        (tmp_path / "planted.py").write_text(source)
        with pytest.raises(AssertionError):
            test_nothing_is_unpickled_evaluated_or_given_to_a_shell(tmp_path / "planted.py")


# A whole demo on a small set with every audit event watched: what is unpickled, and who is called.
WATCHED = """
import sys
events = []
def watch(event, arguments):
    if event in ("pickle.find_class", "socket.getaddrinfo", "socket.gethostbyname"):
        events.append((event, str(arguments)))
    elif event == "socket.connect" and not str(arguments[1]).startswith("/"):
        events.append((event, str(arguments[1])))
sys.addaudithook(watch)
from pathlib import Path
from lendsafe import demo
from lendsafe.corpus.synth import SynthConfig
demo.synth.SynthConfig = lambda: SynthConfig(n=60, history=1_500)
demo.QUICK_STEPS = demo.QUICK_WARMUP = 2
made = demo.demo(Path(sys.argv[1]), quick=True, say=lambda line: None)
print(made.explanation)
print("EVENTS", events)
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "demo"
    ran = subprocess.run([sys.executable, "-c", WATCHED, str(out)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3_000:]
    return out, ran.stdout


def test_the_whole_demo_unpickles_nothing_and_calls_nobody(watched):
    assert watched[1].splitlines()[-1] == "EVENTS []"


def test_the_whole_demo_writes_every_file_of_the_design(watched):
    out, said = watched
    made = {one.relative_to(out).as_posix() for one in out.rglob("*")}
    for wanted in (
        "data/train.jsonl",
        "data/valid.jsonl",
        "risk/model.ubj",
        "risk/model.json",
        "run/adapter_config.json",
        "run/adapter_model.safetensors",
        "run/adapters.safetensors",
        "run/training_metrics.json",
        "run/metrics.jsonl",
        "run/loss.png",
        "run/run.json",
        "run/README.md",
        "eval/metrics_summary.json",
        "eval/detailed_results.csv",
        "explanation.json",
        "letter.pdf",
    ):
        assert wanted in made
    assert said.startswith("declined\n  1. ")


def test_the_hook_sees_an_unpickling_and_a_call():
    program = WATCHED.split("from pathlib")[0] + (
        "import pickle, fractions, socket\n"
        "pickle.loads(pickle.dumps(fractions.Fraction(1, 2)))\n"
        "try: socket.create_connection(('192.0.2.1', 9), timeout=0.01)\n"
        "except OSError: pass\n"
        "print(sorted({event for event, _ in events}))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pickle.find_class" in ran.stdout
    assert "socket.connect" in ran.stdout


def test_no_path_and_no_name_of_a_machine_is_in_the_tree():
    foreign = re.compile(r"/(?:root|work|home/[a-z]\w*|Users/[a-z]\w*)/")
    host = socket.gethostname()
    for path in tracked():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        assert not foreign.search(text), name(path)
        assert len(host) < 6 or host not in text, name(path)


# ---------------------------------------------------------------- README

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```\w*\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
LINES = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
SHOWN = [line for line in LINES if line.startswith("lendsafe ")]
KNOWN = dict(commands())


def test_readme_shows_commands():
    assert len(SHOWN) >= 5


@pytest.mark.parametrize("line", SHOWN)
def test_a_command_of_the_readme_exists_with_these_flags(line):
    words = shlex.split(line)
    path = next(tuple(words[:i]) for i in (3, 2) if tuple(words[:i]) in KNOWN)
    command = KNOWN[path]
    assert not isinstance(command, click.Group)
    # raises if a flag or a word does not fit; click remembers the names of a command's help option
    command.make_context(" ".join(path), words[len(path) :], help_option_names=["-h", "--help"])


@pytest.mark.parametrize("target", sorted({line.split()[1] for line in LINES if line.startswith("make ")}))
def test_a_make_target_of_the_readme_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_folders_and_files_of_the_readme_exist():
    tree = next(block for block in BLOCKS if block.startswith("lendsafe/\n"))
    for line in tree.splitlines()[1:]:
        names = re.match(r"\s*((?:[\w/]+(?:\.py)?(?:, )?)+)", line)
        for one in names[1].strip().split(", ") if names else []:
            if "/" in one or one.endswith(".py"):
                assert (ROOT / "lendsafe" / one).exists() or (ROOT / one).exists(), one


# ---------------------------------------------------------------- exit codes


def test_exit_codes_are_those_of_the_design():
    kinds = [
        one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.LendSafeError)
    ]
    assert {kind.__name__: kind.exit_code for kind in kinds} == {
        "LendSafeError": 1,
        "ConfigError": 2,
        "DataError": 3,
        "DivergedError": 4,
        "DiskError": 5,
        "ExistsError": 6,
        "TooLargeError": 7,
        "RefusedError": 8,
        "OfflineError": 9,
        "GateError": 10,
    }
    assert {kind.exit_code for kind in kinds} <= set(errors.EXIT_CODES)


def test_exit_codes_are_documented_on_the_first_help_page():
    page = " ".join(pages()["lendsafe.txt"].split())
    for code, meaning in errors.EXIT_CODES.items():
        assert f"{code} {meaning}" in page
