"""Settings of the risk module: one dataclass is default, help text, flag and TOML key."""

from dataclasses import dataclass
from typing import Literal

from lendsafe.fields import knob


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskConfig:
    """How the model is fitted, where the cut-off lies, and what becomes a reason."""

    target: Literal["outcome", "decision"] = knob(
        "outcome", "What is learned: who defaults, or (decision) what the lender decided, which is no risk."
    )
    seed: int = knob(42, "Seed of every split and of the fit.", low=0)
    max_depth: int = knob(
        3, "Deepest tree tried; the depth of the lowest out-of-fold log loss is taken.", low=1, high=3
    )
    learning_rate: float = knob(0.2, "Shrinkage of each tree.", low=0.001, high=1)
    max_trees: int = knob(1000, "Trees at most; early stopping ends sooner.", low=1, high=10_000)
    patience: int = knob(30, "Rounds without improvement before early stopping ends the fit.", low=1)
    min_child_weight: float = knob(5.0, "Smallest sum of hessians in a leaf; larger is smoother.", low=0)
    monotone: bool = knob(True, "Constrain every feature whose business sign is known.")
    unknown_is_riskier: bool = knob(
        True,
        "Count a value that is not known as no safer than any that is; no credit file is a fact of its own.",
    )
    approval_rate: float = knob(
        0.61, "Share of applications to approve; sets the cut-off.", low=0.01, high=0.99
    )
    loss_ratio: float = knob(
        0.0, "Loss on a default over profit on a good loan; above 0 it sets the cut-off instead.", low=0
    )
    counteroffer_share: float = knob(
        0.0,
        "Smallest share of the requested amount that is offered instead of declining; 0 offers none.",
        low=0,
        high=0.99,
    )
    baseline: Literal["near_cutoff", "all_applicants"] = knob(
        "near_cutoff", "Whom a declined applicant is compared with (12 CFR 1002 comment 9(b)(2)-5)."
    )
    baseline_band: float = knob(
        0.5, "Width of the band of approved applicants above the cut-off.", unit="log-odds", low=0.01, high=5
    )
    background_rows: int = knob(2_000, "Rows of the stored background, at most.", low=10, high=10_000)
    max_reasons: int = knob(4, "Reasons given at most (comment 9(b)(2)-1).", low=1, high=4)
    materiality: float = knob(
        0.2,
        "Smallest push on the log-odds that counts as a reason; 0.2 is 22 % on the odds.",
        unit="log-odds",
        low=0,
        high=2,
    )
    moderate: float = knob(
        0.5, "Push from which a reason is moderate: the odds times 1.6.", unit="log-odds", low=0
    )
    strong: float = knob(
        1.0, "Push from which a reason is strong: the odds times 2.7.", unit="log-odds", low=0
    )
    review_below: float = knob(
        0.75, "Agreement of the two attribution methods below which a person should look.", low=0, high=1
    )
    score_disclosed: Literal["none", "bureau", "proprietary"] = knob(
        "none", "Whose score the notice discloses under 15 USC 1681m(a); 'bureau' needs a score that is used."
    )
    base_points: int = knob(500, "Points at the base odds.", low=0, high=10_000)
    base_odds: float = knob(20.0, "Odds of repayment (good to bad) that get the base points.", low=0.01)
    double_odds: float = knob(40.0, "Points that double the odds of repayment.", low=1)
