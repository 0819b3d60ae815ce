"""Every verb has a help page, its flags are reviewed, and help costs nothing."""

import os
import subprocess
import sys

import click
import pytest
from command import lendsafe
from help_pages import FOLDER, commands, pages

from lendsafe.cli import VERBS

EVERY = [path for path, _ in commands()]


def test_help_pages_are_as_reviewed():
    """If this fails on purpose: python tests/help_pages.py, and commit what it changed."""
    kept = {one.name: one.read_text() for one in FOLDER.glob("*.txt")}
    now = pages()
    assert sorted(kept) == sorted(now)
    for name, page in now.items():  # how lines are broken is click's matter
        assert kept[name].split() == page.split(), name


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_answers_help(path):
    for flag in ("--help", "-h"):
        ran = lendsafe(*path[1:], flag)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith(f"Usage: {' '.join(path)} ")


@pytest.mark.parametrize(
    ("path", "command"), list(commands()), ids=lambda one: " ".join(one) if isinstance(one, tuple) else ""
)
def test_every_option_has_help_and_no_option_is_there_twice(path, command):
    assert command.help
    flags = [flag for one in command.params for flag in (*one.opts, *one.secondary_opts)]
    assert len(flags) == len(set(flags))
    for one in command.params:
        if isinstance(one, click.Option):
            assert one.help, one.name


def test_every_verb_of_the_design_is_there():
    assert list(VERBS) == [
        "demo", "doctor", "product", "data", "risk", "plan", "train", "eval", "explain", "record", "law", "export",
        "import-adapter",
    ]  # fmt: skip


def test_help_takes_less_than_three_tenths_of_a_second_and_imports_nothing_heavy():
    program = (
        "import sys\n"
        "from lendsafe.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'mlx', 'mlx_lm', 'pandas', 'numpy', 'xgboost', 'torch', 'sklearn', 'transformers', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    took = []
    for _ in range(5):  # processor time, which is what an idle machine takes; the quickest of a few
        before = os.times()
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        after = os.times()
        took.append(sum(after[2:4]) - sum(before[2:4]))
        assert ran.stderr == "[]\n"
        assert "Commands:" in ran.stdout
    assert min(took) <= 0.3


@pytest.mark.parametrize("verb", ["data", "explain", "eval", "risk"])
def test_help_of_a_verb_does_not_import_mlx_or_pandas(verb):
    program = (
        f"import sys\nfrom lendsafe.cli import main\n"
        f"try: main(['{verb}', '--help'])\nexcept SystemExit: pass\n"
        "print([one for one in ('mlx', 'pandas', 'torch', 'xgboost') if one in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stderr == "[]\n"


def test_version():
    ran = lendsafe("--version")
    assert ran.code == 0
    assert ran.out.startswith("lendsafe, version ")
