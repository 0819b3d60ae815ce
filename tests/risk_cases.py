"""A small model and applications, shared by the tests of the risk module."""

import json
from functools import cache

import pandas as pd
from shared_data import shared_data

from lendsafe.corpus import process
from lendsafe.product import Product, load, product_from
from lendsafe.risk import dataset
from lendsafe.risk.config import RiskConfig
from lendsafe.risk.features import FeatureSet, feature_set
from lendsafe.risk.model.engine import RiskEngine


@cache
def small_engine(**changes) -> RiskEngine:
    """Trained on 3,000 synthetic applicants, depth 3 so that features interact."""
    return RiskEngine.fit(process.history(3_000, 7).applications(), RiskConfig(max_trees=60, **changes))


@cache
def people(n: int = 400, seed: int = 3) -> process.Population:
    return process.draw(n, seed)


@cache
def german() -> dataset.Dataset:
    return dataset.read(shared_data("lending/german_credit.csv"), load("german"))


def with_policy(product: Product, **policy) -> Product:
    """The product with other keys in its policy."""
    table = json.loads(product.text)
    table["policy"] = table.get("policy", {}) | policy
    return product_from(table, product.name)


def features_of(**risks: str) -> FeatureSet:
    """Features that are numbers, each with its sign and a reason of its own name."""
    table = {
        "name": "made-up",
        "fields": {name: {"kind": "number", "risk": risk, "reason": name} for name, risk in risks.items()},
        "reasons": {name: {"statement": name.capitalize()} for name in risks},
    }
    return feature_set(product_from(table, "made-up"))


@cache
def german_engine() -> RiskEngine:
    return RiskEngine.fit(german().frame, features=german().features)


def frame(**columns) -> pd.DataFrame:
    """One good application, with other values where given."""
    base = {
        "applicant_id": "A-1", "loan_amount": 10_000.0, "loan_term_months": 36, "loan_purpose": "other",
        "annual_income": 80_000.0, "income_verified": True, "employment_months": 120.0, "debt_to_income": 15.0,
        "credit_score": 760.0, "delinquencies_24m": 0.0, "collections": 0.0, "bankruptcies": 0.0,
        "inquiries_6m": 0.0, "oldest_account_months": 200.0, "open_accounts": 8.0, "accounts_opened_24m": 0.0,
        "revolving_utilization": 20.0,
    }  # fmt: skip
    return pd.DataFrame([base | columns])
