"""The harness keeps what it measured, alternates, and refuses to compare what is unlike."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench import compare, machine  # noqa: E402
from bench.harness import Result, Series, alternate, load, ratio, save, table  # noqa: E402
from lendsafe.errors import DataError  # noqa: E402

MAC = machine.Machine("Apple M2", 8, 10, 8, "macOS 15.1", "metal", "mains", "nominal", 0.5)
values = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=20).map(tuple)


def result(*seconds, system="ours", on=MAC, case="c"):
    return Result(
        "load",
        case,
        system,
        "s",
        Series(seconds),
        {"peak_bytes": 5.0, "stored_bytes": 6.0},
        on,
        {"mlx": "1"},
        "2026-01-01",
    )


@given(values)
def test_the_median_and_the_95th_percentile_lie_within_the_repetitions(values):
    series = Series(values)
    assert series.low <= series.median <= series.high
    assert series.median <= series.p95 <= series.high


def test_the_95th_percentile_of_twenty_is_the_nineteenth():
    assert Series(tuple(map(float, range(1, 21)))).p95 == 19


def test_nothing_is_made_of_no_repetitions():
    with pytest.raises(ValueError, match="no repetitions"):
        Series(())


def test_systems_alternate_and_the_warm_up_is_thrown_away():
    order = []

    def system(name):
        def run(number):
            order.append((number, name))
            return 100.0 if number == 0 else float(number)

        return run

    series = alternate({"a": system("a"), "b": system("b")}, repetitions=2, say=lambda _: None)
    assert [name for _, name in order] == ["a", "b"] * 3
    assert series == {"a": Series((1.0, 2.0)), "b": Series((1.0, 2.0))}


def test_a_line_of_results_reads_back_as_it_was():
    one = result(1.0, 2.0)
    assert Result.from_line(one.line()) == one


def test_a_new_measurement_takes_the_place_of_the_whole_old_one_of_the_same_case(tmp_path):
    """The systems of a case were measured in turn: rows of two runs are not mixed."""
    save([result(1.0), result(2.0, system="theirs")], tmp_path)
    save([result(4.0, case="else")], tmp_path)
    path = save([result(3.0)], tmp_path)
    assert [(one.case, one.system, one.series.values) for one in load(path)] == [
        ("else", "ours", (4.0,)),
        ("c", "ours", (3.0,)),
    ]
    assert path.parent.name == "apple-m2-10core-8gb"


def test_a_line_of_another_format_is_refused(tmp_path):
    path = tmp_path / "old.jsonl"
    path.write_text(result(1.0).line().replace('"format": 1', '"format": 0') + "\n")
    with pytest.raises(DataError, match="format 0"):
        load(path)


@pytest.mark.parametrize(
    ("name", "value"), [("chip", "Apple M1"), ("memory_gb", 16), ("backend", "cpu"), ("gpu_cores", 8)]
)
def test_results_of_unlike_machines_are_not_compared(name, value):
    other = dataclasses.replace(MAC, **{name: value})
    with pytest.raises(DataError, match=name):
        ratio(result(1.0), result(1.0, on=other))


def test_a_ratio_says_nothing_where_the_repetitions_overlap():
    assert ratio(result(4.0, 4.4), result(2.0, 2.2)) == "2.00 x (1.82 to 2.20)"
    assert ratio(result(4.0, 6.0), result(5.0, 7.0)) == "not significant"


def test_before_and_after_are_compared_case_by_case(tmp_path):
    before, after = save([result(4.0)], tmp_path / "a"), save([result(2.0)], tmp_path / "b")
    assert "2.00 x" in compare.files(before, after)
    other = save([result(2.0, case="else")], tmp_path / "c")
    with pytest.raises(DataError, match="no case and system in common"):
        compare.files(before, other)


def test_the_tables_of_the_readme_are_written_between_their_marks(tmp_path):
    readme = tmp_path / "bench" / "README.md"
    readme.parent.mkdir()
    for path in (readme, tmp_path / "README.md"):
        path.write_text(f"before\n{compare.BEGIN}\nold\n{compare.END}\nafter\n")
    save([result(1.0, 2.0, 3.0)], tmp_path / "results")
    compare.write_readme(readme, tmp_path / "results")
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| c | 2 (1 to 3) |" in text
    assert "Apple M2, 10 GPU cores, 8 GB, macOS 15.1, MLX on metal, on mains, nominal" in text


def test_the_readme_carries_the_tables_of_the_kept_results():
    assert compare.tables() in (ROOT / "bench" / "README.md").read_text("utf-8")
    assert compare.headline() in (ROOT / "README.md").read_text("utf-8")
    assert "mlx-lm" in compare.headline()


def test_a_table_is_markdown():
    assert table([["a", "b"], ["1", "2"]]) == "| a | b |\n|---|---|\n| 1 | 2 |"


def test_what_macos_reports_is_read():
    report = '{"SPDisplaysDataType": [{"sppci_cores": "10", "sppci_model": "Apple M2"}]}'
    assert machine.apple_gpu_cores(report) == 10
    assert machine.apple_gpu_cores("") is None
    assert machine.apple_power("Now drawing from 'Battery Power'\n -InternalBattery-0 80%") == "battery"
    assert machine.apple_power("Now drawing from 'AC Power'") == "mains"
    quiet = "Note: No thermal warning level has been recorded\nNote: No performance warning level has been recorded"
    assert machine.apple_thermal(quiet) == "nominal"
    assert machine.apple_thermal("CPU_Scheduler_Limit = 100\nCPU_Speed_Limit = 64") == "throttled"
    assert machine.apple_thermal("") is None


@pytest.mark.parametrize(
    ("state", "hot"),
    [(None, False), ("nominal", False), ("throttled", True), ("45 °C", False), ("83 °C", True)],
)
def test_a_hot_machine_waits(state, hot):
    assert machine.is_hot(state) is hot


def test_no_host_or_user_is_named():
    import getpass
    import platform

    here = machine.this_machine()
    text = Result("load", "c", "s", "s", Series((1.0,))).line() + here.folder
    assert platform.node() not in text
    assert f'"{getpass.getuser()}"' not in text


def run_script(*arguments, **environment):
    return subprocess.run(
        ["bash", str(ROOT / "bench" / "cuda.sh"), *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_the_nvidia_script_says_what_it_does_where_it_is_asked_for_nothing_it_knows(tmp_path):
    done = run_script(str(tmp_path / "none"))
    assert done.returncode == 2
    assert "bench/cuda.sh pack FOLDER" in done.stdout + done.stderr


@pytest.mark.soak
def test_every_step_of_the_nvidia_script_runs_on_a_cpu(tmp_path):
    """On a small shape, in a copy, so that no kept result changes."""
    import shutil

    copy = tmp_path / "copy"
    for part in ("bench", "lendsafe"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "results"))
    done = subprocess.run(
        ["bash", str(copy / "bench" / "cuda.sh"), "run"],
        env=os.environ | {"BENCH_DEVICE": "cpu"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    kept = {one.name for one in (copy / "bench" / "results").rglob("*") if one.is_file()}
    assert kept == {"results.jsonl", "cuda.txt"}
