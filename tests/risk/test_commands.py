"""The commands as a user types them: import, train, score, explain, report; and every way to get them wrong."""

import json

import pandas as pd
import pytest
from risk_cases import people
from shared_data import shared_data

from lendsafe.cli import main


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return stop.value.code, out, err

    return call


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A German import and a model of it, made by the commands."""
    folder = tmp_path_factory.mktemp("work")
    for arguments in (
        (
            "data",
            "import",
            shared_data("lending/german_credit.csv"),
            "--product",
            "german",
            "--out",
            folder / "a.csv",
        ),
        (
            "risk",
            "train",
            folder / "a.csv",
            "--product",
            "german",
            "--out",
            folder / "risk",
            "--max-trees",
            "60",
        ),
    ):
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        assert stop.value.code == 0
    return folder


def test_an_import_says_what_it_set_aside_and_why(run, tmp_path):
    path = shared_data("lending/lending_club_2498.csv")
    code, out, _ = run("data", "import", path, "--product", "lending-club", "--out", tmp_path / "a.csv")
    assert code == 0
    assert "2498 applications" in out
    assert (
        "leak: the lender's own price and terms, set by the decision: Amount.Funded.By.Investors, Interest.Rate"
        in out
    )
    assert "Not in the product: Home.Ownership, Revolving.CREDIT.Balance, FICO.Score" in out
    code, _, err = run("data", "import", path, "--product", "lending-club", "--out", tmp_path / "a.csv")
    assert (code, "is there already" in err) == (6, True)


def test_an_import_as_json(run, tmp_path):
    path = shared_data("lending/boston_loanapp.csv")
    code, out, _ = run("data", "import", path, "--product", "boston", "--out", tmp_path / "a.csv", "--json")
    assert (code, json.loads(out)["rows"]) == (0, 1989)


def test_a_draft_is_printed_or_written(run, tmp_path):
    path = shared_data("lending/lending_club_2498.csv")
    code, out, _ = run("product", "new", path)
    assert code == 0
    assert "lending_club_2498.csv" in out.splitlines()[0]
    code, out, _ = run("product", "new", path, "--out", tmp_path / "s.toml")
    assert (code, (tmp_path / "s.toml").exists()) == (0, True)
    assert run("product", "new", path, "--out", tmp_path / "s.toml")[0] == 6
    code, _, err = run(
        "data", "import", path, "--product", tmp_path / "nothing.toml", "--out", tmp_path / "a.csv"
    )
    assert (code, "nothing.toml" in err) == (2, True)
    assert not (tmp_path / "a.csv").exists()


def test_decisions_go_to_a_file_or_to_stdout(run, work, tmp_path):
    code, out, _ = run("risk", "score", work / "a.csv", "--risk", work / "risk", "--out", tmp_path / "d.csv")
    table = pd.read_csv(tmp_path / "d.csv")
    counts = table["decision"].value_counts()
    assert code == 0
    assert f"{counts['approved']} approved" in out
    assert len(table) == 1000
    assert table.loc[table["decision"] == "declined", "reason_1"].notna().all()
    code, out, _ = run("risk", "score", work / "a.csv", "--risk", work / "risk")
    assert (code, out) == (0, (tmp_path / "d.csv").read_text())


def test_reasons_are_shown_with_their_values(run, work):
    code, out, _ = run("risk", "explain", work / "a.csv", "--risk", work / "risk", "--id", "row-3")
    assert code == 0
    assert "row-3: declined" in out
    assert "against 1. Duration of credit requested" in out
    assert "duration_in_month 48" in out
    code, out, _ = run("risk", "explain", work / "a.csv", "--risk", work / "risk", "--json")
    one = json.loads(out)["applications"][1]
    assert len(json.loads(out)["applications"]) == 10
    for reason in one["reasons"]:
        assert sum(f["contribution"] for f in reason["features"]) == pytest.approx(
            reason["contribution"], abs=1e-6
        )
        assert reason["contribution"] > 0
    assert one["counterfactual"] < 0


def test_a_report_is_written_beside_the_model(run, work):
    code, out, err = run(
        "risk", "report", work / "a.csv", "--risk", work / "risk", "--resamples", "100", "--no-alternatives"
    )
    assert code == 0
    assert "AUC 0." in out
    assert "Scoring" in err
    assert {"report.html", "metrics.json"} <= {p.name for p in (work / "risk").iterdir()}
    assert json.loads((work / "risk" / "metrics.json").read_text())["data"]["held_out"] is True


def test_our_own_columns_and_a_policy_of_the_lender(run, tmp_path):
    people(1500).applications().to_csv(tmp_path / "history.csv", index=False)
    (tmp_path / "own.toml").write_text(
        'extends = "consumer"\nname = "own"\n[policy]\nrequired = []\n'
        '[[policy.knockouts]]\nfield = "debt_to_income"\nabove = 40\nreason = "debt_to_income"\n'
    )
    (tmp_path / "settings.toml").write_text("max_trees = 30\napproval_rate = 0.5\n")
    code, out, _ = run(
        "risk", "train", tmp_path / "history.csv", "--out", tmp_path / "risk", "--product", tmp_path / "own.toml",
        "--config", tmp_path / "settings.toml", "--approval-rate", "0.7", "--counteroffer-share", "0.5", "--json",
    )  # fmt: skip
    assert (code, json.loads(out)["rows"] > 1000) == (0, True)
    run("risk", "score", tmp_path / "history.csv", "--risk", tmp_path / "risk", "--out", tmp_path / "d.csv")
    table = pd.read_csv(tmp_path / "d.csv")
    over = (people(1500).frame["debt_to_income"] > 40).to_numpy()
    assert (table["decision"][over] == "declined").all()
    assert (table["reason_1"][over] == "debt_to_income").all()
    assert {"approved", "declined", "counteroffer"} <= set(table["decision"])
    assert (table["counteroffer_amount"].notna() == (table["decision"] == "counteroffer")).all()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("data", "import", "nothing.csv", "--product", "german", "--out", "x.csv"),
            5,
            "nothing.csv: No such file",
        ),
        (("data", "import", "nothing.csv"), 2, "--product"),
        (("data", "import", "nothing.csv", "--product", "german"), 2, "--out"),
        (("risk", "train", "nothing.csv", "--out", "x"), 5, "nothing.csv: No such file"),
        (("risk", "train", "nothing.csv", "--out", "x", "--max-depth", "4"), 2, "'max_depth' is 4"),
        (("risk", "score", "nothing.csv", "--risk", "nowhere"), 5, "nowhere"),
        (("risk", "score", "nothing.csv", "--risk", "nowhere", "--json"), 2, "--out"),
    ],
)
def test_a_mistake_is_one_line_with_its_exit_code(run, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_application_that_is_not_there_is_named(run, work):
    code, _, err = run("risk", "explain", work / "a.csv", "--risk", work / "risk", "--id", "row-9999")
    assert (code, "no application 'row-9999'" in err) == (3, True)


def test_a_file_without_outcomes_trains_nothing(run, tmp_path):
    path = shared_data("lending/boston_loanapp.csv")
    run("data", "import", path, "--product", "boston", "--out", tmp_path / "a.csv")
    code, _, err = run("risk", "train", tmp_path / "a.csv", "--product", "boston", "--out", tmp_path / "risk")
    assert (code, "training needs outcomes" in err) == (3, True)
    assert not (tmp_path / "risk").exists()


def test_a_cell_that_a_spreadsheet_would_run_is_not_written(run, tmp_path):
    table = people(1500).applications()
    table.loc[0, "applicant_id"] = "=HYPERLINK(1)"
    table.to_csv(tmp_path / "h.csv", index=False)
    run("risk", "train", tmp_path / "h.csv", "--out", tmp_path / "risk", "--max-trees", "20")
    _, out, _ = run("risk", "score", tmp_path / "h.csv", "--risk", tmp_path / "risk")
    assert out.splitlines()[1].startswith("'=HYPERLINK")


def test_help_imports_no_pandas():
    import subprocess
    import sys

    code = (
        "import sys; from lendsafe.cli import group; group(['risk', '--help'], standalone_mode=False)\n"
        "print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip().endswith("False"), done.stdout + done.stderr


def test_monitoring_is_quiet_on_the_same_file_and_exits_with_ten_when_it_moved(run, work, tmp_path):
    (tmp_path / "limits.toml").write_text("ratio = 0.5\n")  # one group of this file is below 0.8
    code, out, err = run(
        "risk", "monitor", work / "a.csv", "--risk", work / "risk", "--out", tmp_path / "m",
        "--limits", tmp_path / "limits.toml",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "1000 applications, 0 limits exceeded" in out
    assert (tmp_path / "m" / "monitor.html").exists()
    table = pd.read_csv(work / "a.csv")
    months = table["duration_in_month"].str.split().str[0].astype(float)  # "24 months"
    table["duration_in_month"] = (months * 2).clip(upper=72)
    table.to_csv(tmp_path / "moved.csv", index=False)
    code, out, err = run(
        "risk", "monitor", tmp_path / "moved.csv", "--risk", work / "risk", "--out", tmp_path / "m", "--json"
    )
    assert code == 10
    assert "limits are exceeded" in err
    assert any("duration_in_month" in line for line in json.loads(out)["exceeded"])


def test_a_model_document_is_written_beside_the_report(run, work, tmp_path):
    facts = tmp_path / "facts.toml"
    lines = {"purpose": "Loans", "owner": "A", "prepared_by": "B", "version": "1", "date": "2026-11-20"}
    facts.write_text("".join(f'{k} = "{v}"\n' for k, v in lines.items()))
    code, _, err = run(
        "risk", "report", work / "a.csv", "--risk", work / "risk", "--out", tmp_path / "r", "--resamples", "100",
        "--no-alternatives", "--document", facts, "--reference", "foreign_worker=yes",
    )  # fmt: skip
    assert code == 0, err
    assert {"document.html", "document.docx", "scorecard.py"} <= {p.name for p in (tmp_path / "r").iterdir()}
    code, _, err = run("risk", "report", work / "a.csv", "--risk", work / "risk", "--reference", "sex")
    assert code == 2
    assert "ATTRIBUTE=GROUP" in err
