"""Training pairs for a lender's own product: her scored applicants, her reasons, her words in the grammar's frames.

Rows are chosen so that every reason is named at every strength, against and in favour, as evenly as the
applicants allow; what they do not show is drawn from the fields' ranges. The split is by applicant.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from lendsafe import parts, prompts
from lendsafe.corpus.config import SynthConfig
from lendsafe.corpus.load import Split
from lendsafe.corpus.scenarios import random_assessment
from lendsafe.corpus.synth import UNSEEN_SHARE, VALID_SHARE, Synthetic, worded
from lendsafe.errors import DataError
from lendsafe.product import Product
from lendsafe.records import Assessment, Style
from lendsafe.risk.model import RiskEngine

MOST_SCORED = 20_000  # applicants that rows are chosen from
FEWEST = 8  # times that a reason is to be named on a side at a strength
MOST_DRAWS = 400  # of one missing cell
DECLINED_SHARE = 0.45  # declines are what the law asks to be explained
_DETAILED = Style(detail="detailed")

Cell = tuple[str, str, str]
Done = Callable[[int, int], object]


def make(
    product: Product,
    config: SynthConfig,
    engine: RiskEngine | None = None,
    applications: pd.DataFrame | None = None,
    done: Done | None = None,
) -> Synthetic:
    """Choose assessments and word them.

    Args:
        product: Fields, reasons and words.
        config: How many, and from which seed.
        engine: Model that scores and gives reasons; needed with ``applications``.
        applications: Past applications; without them assessments are drawn from the fields' ranges.
        done: Called with rows written and rows in all.

    Raises:
        DataError: If the applications give no decline or no approval that can be worded.
    """
    rng = np.random.default_rng([config.seed, 21])
    extra = max(1, round(config.n * UNSEEN_SHARE))
    if engine is not None and applications is not None:
        some = applications.sample(min(len(applications), MOST_SCORED), random_state=config.seed)
        pool = _usable(engine.assess_many(some.reset_index(drop=True)))
        if len({one.decision for one in pool}) < 2:
            raise DataError(
                "The applications give no declines or no approvals with a factor to word; more are needed."
            )
    else:
        pool = list(_drawn(product, 4 * (config.n + extra), rng))
    chosen = _chosen(pool, config.n + extra, product, rng)
    order = rng.permutation(len(chosen)).tolist()
    chosen = [chosen[i] for i in order]
    rows, more = chosen[: config.n], chosen[config.n :]
    valid = round(len(rows) * VALID_SHARE)
    splits: list[Split] = ["valid" if i < valid else "train" for i in range(len(rows))]
    total = len(rows) + len(more)
    report = (lambda n: done(n, total)) if done else (lambda _: None)
    return Synthetic(
        worded(rows, splits, config, "train", done=report),
        worded(more, ["valid"] * len(more), config, "held_out", len(rows), done=report),
        product,
    )


def cells(assessment: Assessment) -> list[Cell]:
    """Reason, side and strength of every factor that an assessment names."""
    opened = parts.of(prompts.shown(assessment), _DETAILED)
    return [
        (one.code, "in favor" if one.side == "favorable" else "against", one.strength)
        for one in opened
        if one.kind == "factor"
    ]


def _usable(assessments: Sequence[Assessment]) -> list[Assessment]:
    return [
        one
        for one in assessments
        if (one.decision == "declined" and one.reasons) or (one.decision == "approved" and one.strengths)
    ]


def _chosen(pool: list[Assessment], n: int, product: Product, rng: np.random.Generator) -> list[Assessment]:
    """``n`` assessments of different applicants, among them those that name what is named seldom."""
    order = rng.permutation(len(pool)).tolist()
    counts: Counter[Cell] = Counter()
    needed: list[Assessment] = []
    others: list[Assessment] = []
    used: set[int] = set()
    wanted = {"declined": round(n * DECLINED_SHARE), "approved": n - round(n * DECLINED_SHARE)}
    named = {i: cells(pool[i]) for i in order}
    frequency = Counter(cell for found in named.values() for cell in found)
    # the applicants that name the rarest factors come first, until each is named often enough
    for i in sorted(order, key=lambda row: min(frequency[cell] for cell in named[row])):
        if wanted[pool[i].decision] and any(counts[cell] < FEWEST for cell in named[i]):
            _take(i, pool, named, counts, needed, used, wanted)
    needed += _filling(product, counts, rng)
    for i in order:
        if i not in used and wanted[pool[i].decision]:
            _take(i, pool, named, counts, others, used, wanted)
    found = _different([*needed, *others])
    while len(found) < n:
        found = _different([*found, *_drawn(product, n - len(found), rng)])
    return found[:n]


def _different(assessments: Sequence[Assessment]) -> list[Assessment]:
    """One assessment an applicant, the first."""
    return list({one.applicant.applicant_id: one for one in reversed(assessments)}.values())[::-1]


def _take(
    i: int,
    pool: list[Assessment],
    named: dict[int, list[Cell]],
    counts: Counter[Cell],
    taken: list[Assessment],
    used: set[int],
    wanted: dict[str, int],
) -> None:
    used.add(i)
    taken.append(pool[i])
    counts.update(named[i])
    wanted[pool[i].decision] -= 1


def _filling(product: Product, counts: Counter[Cell], rng: np.random.Generator) -> Iterator[Assessment]:
    """Drawn assessments for reasons that the applicants name too seldom at some strength."""
    lacking = {cell: FEWEST - counts[cell] for cell in _possible(product) if counts[cell] < FEWEST}
    draws = MOST_DRAWS * max(1, len(lacking))
    for one in _drawn(product, draws, rng):
        if not any(lacking.values()):
            return
        useful = [cell for cell in cells(one) if lacking.get(cell, 0) > 0]
        if useful:
            for cell in useful:
                lacking[cell] -= 1
            yield one


def _possible(product: Product) -> list[Cell]:
    own = {f.reason for f in product.features}
    unknown = {f.when_missing for f in product.features if f.formula is None} - own
    return [
        (code, side, strength)
        for code in product.reasons
        for side in ("against", "in favor")
        for strength in ("slight", "moderate", "strong")
        if code in own or (code in unknown and side == "against")
    ]


def _drawn(product: Product, n: int, rng: np.random.Generator) -> Iterator[Assessment]:
    for _ in range(n):
        yield random_assessment(rng, product)[0]
