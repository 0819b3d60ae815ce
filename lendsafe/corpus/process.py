"""A documented latent process of applicants, so that the true reasons of a decision are known.

Traits drive income, obligations and bureau behaviour; the log-odds of default are a sum of
saturating terms (``process.toml``); the outcome is drawn from them. Protected attributes move
the traits a little and are kept in a table of their own. Decisions and reasons come from the
same code as at inference (``lendsafe.risk.model.outcomes``), fed with the true contributions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lendsafe.fields import parse_toml
from lendsafe.product import consumer
from lendsafe.records import Applicant, Assessment
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.decision import Facts, Policy, to_applicants
from lendsafe.risk.features import code_index, feature_set
from lendsafe.risk.model import ranking
from lendsafe.risk.model.outcomes import Scored, assessments

Floats = NDArray[np.float64]
HISTORY_STREAM = 1  # history and applications of one seed are independent draws


@dataclass(frozen=True)
class Population:
    """Applicants with everything that is true about them.

    Attributes:
        frame: Application columns, fields of the consumer product, ``n`` rows.
        default_probability: True probability of default, ``(n,)``.
        defaulted: Whether the loan defaulted, or would have, ``(n,)``.
        terms: True push of each feature on the log-odds, ``(n, features)``, not centred.
        protected: ``applicant_id``, ``sex``, ``age_band``, ``race``. Never joined to features.
    """

    frame: pd.DataFrame
    default_probability: Floats
    defaulted: NDArray[np.bool_]
    terms: Floats
    protected: pd.DataFrame

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def applicants(self) -> list[Applicant]:
        """The applications as records; slow for large populations, so ``take`` first."""
        return to_applicants(self.frame, consumer())

    @property
    def contributions(self) -> Floats:
        """True contribution of each feature against the baseline, ``(n, features)``, log-odds.

        The baseline is the mean term of applicants approved just above the process's cut-off.
        """
        return self.terms - baseline(cutoff())

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> "Population":
        """The population of some rows, in that order."""
        index = np.asarray(rows)
        return Population(
            frame=self.frame.iloc[index].reset_index(drop=True),
            default_probability=self.default_probability[index],
            defaulted=self.defaulted[index],
            terms=self.terms[index],
            protected=self.protected.iloc[index].reset_index(drop=True),
        )

    def applications(self) -> pd.DataFrame:
        """The application columns with the outcome ``defaulted`` (0 or 1), as a lender's file has it."""
        return self.frame.assign(defaulted=self.defaulted.astype(int))


@cache
def parameters() -> dict[str, Any]:
    """The published coefficients, ``lendsafe/corpus/process.toml``."""
    where = "lendsafe/corpus/process.toml"
    return parse_toml((files("lendsafe.corpus") / "process.toml").read_text("utf-8"), where)


@dataclass(frozen=True, slots=True)
class Bands:
    """How many examples of a set lie in each band of a field.

    Attributes:
        field: Field of an application.
        name: What to call it.
        edges: Cut points; a band runs from one to below the next.
        counts: Examples of each band.
    """

    field: str
    name: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def band(self, applicant: Applicant) -> int | None:
        """Band of an applicant; None outside all, or where the value is not known."""
        value = applicant[self.field]
        if not isinstance(value, int | float):
            return None
        at = int(np.searchsorted(self.edges, value, side="right")) - 1
        return at if 0 <= at < len(self.counts) else None

    def label(self, at: int) -> str:
        """A band in words."""
        return f"{self.name} [{self.edges[at]:,.0f}, {self.edges[at + 1]:,.0f})"


def bands() -> tuple[Bands, ...]:
    """The bands whose counts a default set fills."""
    rows = parameters()["counts"]["bands"]
    return tuple(Bands(one["field"], one["name"], tuple(one["edges"]), tuple(one["counts"])) for one in rows)


def cutoff() -> float:
    """Largest true default probability that the synthetic lender approves."""
    return float(parameters()["cutoff"])


def draw(n: int, seed: int) -> Population:
    """Draw applicants.

    Args:
        n: How many.
        seed: Same seed, same population.
    """
    return _draw(n, np.random.default_rng([seed, 0]), prefix=f"S{seed}")


def history(n: int = 60_000, seed: int = 42) -> Population:
    """Past applicants whose loans have outcomes, independent of :func:`draw` with the same seed.

    Every applicant has an outcome, the declined as well, so no reject inference is needed; a real
    lender's book holds accepted loans only.
    """
    return _draw(n, np.random.default_rng([seed, HISTORY_STREAM]), prefix=f"H{seed}")


def assess(
    population: Population, cutoff: float | None = None, config: RiskConfig | None = None
) -> list[Assessment]:
    """Decide and give reasons from the true probabilities and contributions.

    Args:
        population: Whom to assess.
        cutoff: Largest true default probability that is approved; the process's own by default.
        config: Ranking settings.
    """
    limit = parameters()["cutoff"] if cutoff is None else cutoff
    settings = config or RiskConfig()
    codes = list(consumer().reasons)
    scored = Scored(
        facts=Facts(population.frame, Policy(feature_set())),
        default_probability=population.default_probability,
        contributions=true_reasons(population, limit),
        codes=codes,
        key_factors=key_factors(population),
        risk_model=f"latent process, version {parameters()['version']}",
    )
    return assessments(scored, limit, settings, population.applicants)


def true_reasons(population: Population, cutoff: float | None = None) -> Floats:
    """True contributions summed by reason, ``(n, codes)``, in the product's order."""
    limit = parameters()["cutoff"] if cutoff is None else cutoff
    codes = list(consumer().reasons)
    features = feature_set()
    index = code_index(features.matrix(population.frame), features.columns, codes)
    return ranking.grouped(population.terms - baseline(limit), index, len(codes))


def key_factors(population: Population, most: int = 4) -> list[tuple[str, ...]]:
    """What most hurt each bureau score, most harmful first (15 USC 1681g(f)(1)(C)).

    At most ``most``, and a further one if it is the number of inquiries (1681g(f)(9)); empty
    where there is no score.
    """
    wording = parameters()["key_factors"]
    names = feature_set().names
    columns = [names.index(name) for name in wording]
    harm = population.terms[:, columns] - np.minimum(
        [parameters()["terms"][name]["weight"] for name in wording], 0
    )
    order = np.argsort(-harm, axis=1, kind="stable")
    texts, inquiries = list(wording.values()), list(wording).index("inquiries_6m")
    scored = population.frame["credit_score"].notna().to_numpy()
    found = []
    for row, picked, has_score in zip(harm, order.tolist(), scored, strict=True):
        harmful = [c for c in picked if row[c] > 0] if has_score else []
        kept = harmful[:most] + [c for c in harmful[most:] if c == inquiries]
        found.append(tuple(texts[c] for c in kept))
    return found


@cache
def baseline(cutoff: float) -> Floats:
    """Mean term of applicants approved just above the cut-off, ``(features,)``.

    They are the approved of a fixed reference draw whose true log-odds lie within
    ``baseline_band`` of the cut-off (12 CFR 1002 comment 9(b)(2)-5, first method).
    """
    table = parameters()
    people = draw(table["reference_rows"], table["reference_seed"])
    out = Facts(people.frame, Policy(feature_set())).blocked
    distance = _logit(cutoff) - _logit(people.default_probability)
    near = (distance >= 0) & (distance <= table["baseline_band"]) & ~out
    mean: Floats = people.terms[near].mean(axis=0)
    return mean


def _draw(n: int, rng: np.random.Generator, prefix: str) -> Population:
    table = parameters()
    protected, means_shift, years = _protected(n, rng, table["protected"])
    means, discipline, appetite = _traits(n, rng, table["latent"])
    means = means + means_shift
    ids = np.char.add(f"{prefix}-", np.char.zfill(np.arange(n).astype(str), 6))
    columns = {"applicant_id": ids}
    columns |= _request(n, rng, table, means)
    columns |= _work(n, rng, table, means, discipline, years)
    columns |= _bureau(n, rng, table["bureau"], means, discipline, appetite, years)
    frame = pd.DataFrame(columns)
    terms = _terms(frame, table["terms"])
    frame["credit_score"] = _score(terms, frame, rng, table)
    probability = 1 / (1 + np.exp(-(table["intercept"] + terms.sum(axis=1))))
    defaulted = rng.random(n) < probability
    protected.insert(0, "applicant_id", ids)
    return Population(frame[_columns()], probability, defaulted, terms, protected)


def _protected(
    n: int, rng: np.random.Generator, table: Mapping[str, Any]
) -> tuple[pd.DataFrame, Floats, Floats]:
    means, years, columns = np.zeros(n), np.ones(n), {}
    for name, groups in table.items():
        shares = np.array([g["share"] for g in groups.values()])
        member = rng.choice(len(groups), size=n, p=shares / shares.sum())
        columns[name] = np.array(list(groups))[member]
        means += np.array([g["means"] for g in groups.values()])[member]
        years *= np.array([g.get("years", 1.0) for g in groups.values()])[member]
    return pd.DataFrame(columns), means, years


def _traits(n: int, rng: np.random.Generator, table: Mapping[str, float]) -> tuple[Floats, Floats, Floats]:
    md, ma, da = table["means_discipline"], table["means_appetite"], table["discipline_appetite"]
    covariance = np.array([[1, md, ma], [md, 1, da], [ma, da, 1]])
    traits = rng.standard_normal((n, 3)) @ np.linalg.cholesky(covariance).T
    return traits[:, 0], traits[:, 1], traits[:, 2]


def _request(n: int, rng: np.random.Generator, table: Mapping[str, Any], means: Floats) -> dict[str, Any]:
    amount, income = table["amount"], table["income"]
    pull = amount["income_correlation"]
    rank = _normal_cdf(pull * means + np.sqrt(1 - pull**2) * rng.standard_normal(n))
    asked = np.interp(rank, [0, *np.cumsum(amount["shares"])], amount["edges"])
    step = amount["step"]
    asked = np.clip(np.floor(asked / step) * step, amount["edges"][0], amount["edges"][-1])
    earned = income["median"] * np.exp(income["log_sd"] * means)
    earned = np.clip(np.round(earned / income["step"]) * income["step"], 12_000, 600_000)
    purposes = ["debt_consolidation", "home_improvement", "vehicle", "medical", "major_purchase", "other"]
    return {
        "loan_amount": asked,
        "loan_term_months": rng.choice(amount["terms_months"], size=n, p=amount["term_shares"]),
        "loan_purpose": rng.choice(purposes, size=n, p=[0.42, 0.18, 0.12, 0.08, 0.1, 0.1]),
        "annual_income": np.where(rng.random(n) < income["missing"], np.nan, earned),
        "income_verified": rng.random(n) >= income["unverified"],
    }


def _work(
    n: int,
    rng: np.random.Generator,
    table: Mapping[str, Any],
    means: Floats,
    discipline: Floats,
    years: Floats,
) -> dict[str, Any]:
    work, debt = table["employment"], table["obligations"]
    months = np.minimum(rng.exponential(work["mean_months"] * years), 540).round()
    load = -0.35 * means - 0.25 * discipline + np.sqrt(1 - 0.35**2 - 0.25**2) * rng.standard_normal(n)
    ratio = np.clip(debt["mean"] + debt["sd"] * load, 0, 95).round(1)
    return {
        "employment_months": np.where(rng.random(n) < work["missing"], np.nan, months),
        "debt_to_income": np.where(rng.random(n) < debt["missing"], np.nan, ratio),
    }


def _bureau(
    n: int,
    rng: np.random.Generator,
    table: Mapping[str, float],
    means: Floats,
    discipline: Floats,
    appetite: Floats,
    years: Floats,
) -> dict[str, Any]:
    carelessness = np.exp(-0.7 * discipline - 0.25)  # lognormal: most people have nothing, a few a lot
    thin = rng.random(n) < table["thin"] / years
    age = np.where(thin, rng.uniform(2, 30, n), rng.gamma(3.0, 42.0, n) * years).round()
    accounts = np.clip(rng.poisson(np.minimum(2 + age / 24, 12) * np.exp(0.2 * appetite)), 1, 60)
    opened = np.minimum(rng.poisson(table["opened_rate"] * np.exp(0.55 * appetite)), accounts)
    used = table["utilization_mean"] + table["utilization_sd"] * (
        -0.5 * discipline + 0.3 * appetite - 0.15 * means + 0.8 * rng.standard_normal(n)
    )
    values = {
        "delinquencies_24m": rng.poisson(table["late_rate"] * carelessness),
        "collections": rng.poisson(table["collection_rate"] * carelessness),
        "bankruptcies": rng.poisson(table["bankruptcy_rate"] * carelessness),
        "inquiries_6m": rng.poisson(table["inquiry_rate"] * np.exp(0.6 * appetite)),
        "oldest_account_months": np.minimum(age, 600),
        "open_accounts": accounts,
        "accounts_opened_24m": opened,
        "revolving_utilization": np.clip(used, 0, 130).round(1),
    }
    caps = {"delinquencies_24m": 12, "collections": 8, "bankruptcies": 3, "inquiries_6m": 20}
    values |= {name: np.minimum(values[name], cap) for name, cap in caps.items()}
    no_file = rng.random(n) < table["no_file"] / years
    no_revolving = rng.random(n) < table["no_revolving"]
    columns = {name: np.where(no_file, np.nan, value.astype(float)) for name, value in values.items()}
    columns["revolving_utilization"][no_revolving] = np.nan
    return columns


def _terms(frame: pd.DataFrame, table: Mapping[str, Mapping[str, float]]) -> Floats:
    features = feature_set().encode(frame)
    columns = []
    for name in features:
        term, values = table[name], features[name].to_numpy()
        share = np.clip((values - term["start"]) / (term["end"] - term["start"]), 0, 1)
        columns.append(
            np.where(np.isnan(values), _when_missing(features, name, table), term["weight"] * share)
        )
    return np.stack(columns, axis=1)


def _when_missing(features: pd.DataFrame, name: str, table: Mapping[str, Mapping[str, float]]) -> Any:
    # Without a file every bureau term is zero and `no_credit_file` carries the whole push.
    return np.where(features["no_credit_file"].to_numpy() > 0, 0.0, table[name].get("missing", 0.0))


def _score(terms: Floats, frame: pd.DataFrame, rng: np.random.Generator, table: Mapping[str, Any]) -> Floats:
    names = feature_set().names
    bureau = terms[:, [names.index(name) for name in table["key_factors"]]].sum(axis=1)
    shape = table["score"]
    behaviour = (bureau - shape["bureau_mean"]) / shape["bureau_sd"]
    noise = np.sqrt(1 - shape["loading"] ** 2) * rng.standard_normal(len(frame))
    points = shape["mean"] - shape["spread"] * (shape["loading"] * behaviour + noise)
    no_file = frame["oldest_account_months"].isna().to_numpy()
    return np.where(no_file, np.nan, np.clip(np.round(points), 300, 850))


def _columns() -> list[str]:
    """Columns of an application, in the product's order."""
    return ["applicant_id", *(name for name, one in consumer().values.items() if one.formula is None)]


def _normal_cdf(values: Floats) -> Floats:
    from scipy.special import ndtr

    result: Floats = ndtr(values)
    return result


def _logit(probability: Any) -> Any:
    return np.log(probability) - np.log1p(-probability)
