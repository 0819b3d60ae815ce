"""What a reader of a report should not conclude, in sentences."""

from lendsafe.risk.appraisal.records import Appraisal

STABLE = 0.9  # share of first reasons that another baseline or a refit should leave alone
FEW_OUTCOMES = 100  # of each kind, below which the report warns of wide intervals


def limits(found: Appraisal) -> list[str]:
    """The limits of a model and of what was measured, most important first."""
    return [*_data(found), *_reasons(found), *_groups(found), *_always(found)]


def _data(found: Appraisal) -> list[str]:
    lines = []
    performance, data, training = found.performance, found.data, found.model.training
    if performance is None:
        lines.append(
            f"{data.outcomes} outcomes are known, too few of one kind or both: ranking and calibration are "
            "not measured."
        )
    elif min(performance.defaults, performance.n - performance.defaults) < FEW_OUTCOMES:
        lines.append(
            f"{performance.defaults} defaults in {performance.n} applications: the intervals are wide, "
            "and a difference inside them says nothing."
        )
    if performance and performance.recommended == "scorecard":
        lines.append(
            "The model does not rank better than the scorecard by more than chance. The scorecard is recommended: "
            "its points can be checked on paper (scorecard.csv, scorecard.sql, scorecard.py)."
        )
    if training.rows_without_outcome:
        lines.append(
            f"{training.rows_without_outcome} rows without an outcome were left out of training. Where only "
            "accepted loans have outcomes, the model knows nothing of those who were declined; no reject inference "
            "was made."
        )
    if data.left_out:
        lines.append(
            f"{data.left_out} applications of this file were in training, known by their content; they are left out "
            "of every figure."
        )
    if not data.held_out:
        lines.append(
            "This file does not hold the training rows, which the scorecard, the other baseline, the refits and the "
            "search for alternatives need."
        )
    return lines


def _reasons(found: Appraisal) -> list[str]:
    lines = []
    reasons, rule = found.reasons, found.unknowns
    if reasons and reasons.other and reasons.other.same_first < STABLE:
        lines.append(
            f"The baseline matters: against the other one, {1 - reasons.other.same_first:.0%} of declined applicants "
            "would get another first reason. Keep one, frozen and documented."
        )
    if reasons and reasons.refit and reasons.refit.same_first < STABLE:
        lines.append(
            f"The rows matter: a refit on nine tenths of them gives {1 - reasons.refit.same_first:.0%} of declined "
            "applicants another first reason. More rows, or fewer features, hold better."
        )
    if rule.approves and rule.approves.value > 0:
        lines.append(
            f"Leaving out one known value would approve {rule.approves.value:.1%} of declines: ask for what is missing."
        )
    return lines


def _groups(found: Appraisal) -> list[str]:
    if not found.groups:
        return ["No protected columns were given: differences between groups are not assessed."]
    lines = [
        "The group figures assess differences; they do not show that a model is fair. Federal Regulation B has "
        "had no effects test since 21 July 2026; states differ."
    ]
    if found.data.groups_absent:
        lines.append(f"Nobody is measured of: {', '.join(found.data.groups_absent)}.")
    if found.alternatives:
        lines.append(
            f"{len(found.alternatives) - 1} alternatives were tried, and those that looked best were measured on rows "
            "that had no part in the choice. Confirm on fresh data before choosing one."
        )
    return lines


def _always(found: Appraisal) -> list[str]:
    later = "" if found.vintages else "a test on a later period, "
    return [
        f"Nothing here is an external validation, {later}or evidence of an empirically derived, "
        "demonstrably and statistically sound system (12 CFR 1002.2(p))."
    ]
