"""Random but coherent assessments of a product: any valid combination of factors, independent of any process.

For pretraining text, tests, and training pairs of a lender without past applications. A figure fits the side
that its factor is on: a count that speaks against a person is above zero, a duration that helps is long.
"""

from typing import TypeVar, get_args

from lendsafe.corpus.wordings import Random
from lendsafe.product import Field, Product, Value, consumer
from lendsafe.records import Applicant, Assessment, Detail, Reason, Register, Strength, Style, derived

T = TypeVar("T")

MAX_STRENGTHS = 4
MAX_AGAINST = 3  # factors that weighed against an approval
MAX_REASONS = 4
DECLINED_SHARE = 0.45
NO_FILE_SHARE = 0.06
UNKNOWN_SHARE = 0.15  # of assessments in which a value is not known and that has a reason of its own
MOST_DRAWS = 40  # of one value, until its reason's condition holds

# kind -> lowest and highest value when it is risky, the same when it is safe, if more is riskier; in the field's units
_RANGES: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "count": ((1, 9), (0, 2)),
    "percent": ((40, 110), (2, 32)),
    "duration": ((48, 84), (12, 36)),
    "money": ((30_000, 60_000), (2_000, 15_000)),
    "score": ((0.6, 1.0), (0.0, 0.4)),
    "number": ((0.6, 1.0), (0.0, 0.4)),
}
# The same where more is safer.
_SAFER: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "count": ((0, 1), (3, 20)),
    "percent": ((2, 32), (40, 100)),
    "duration": ((1, 40), (72, 400)),
    "money": ((9_000, 30_000), (60_000, 200_000)),
    "score": ((0.2, 0.55), (0.7, 1.0)),
    "number": ((0.0, 0.4), (0.6, 1.0)),
}


def random_assessment(rng: Random, product: Product | None = None) -> tuple[Assessment, Style]:
    """Draw an approval or a decline with any factors, and a style.

    Args:
        rng: Source of chance; ``random.Random`` or ``numpy.random.Generator``.
        product: Whose fields and reasons; the consumer product by default.
    """
    chosen = product or consumer()
    style = Style(register=choose(get_args(Register), rng), detail=choose(get_args(Detail), rng))
    unknown = _unknown(chosen, rng)
    codes = shuffled(_possible_codes(chosen, unknown, rng), rng)
    if rng.random() < DECLINED_SHARE:
        adverse, favorable = codes[: 1 + _below(MAX_REASONS, rng)], codes[:0]
    else:
        helped = 1 + _below(MAX_STRENGTHS, rng)
        favorable = tuple(code for code in codes if unknown is None or code != unknown.when_missing)[:helped]
        left = tuple(code for code in codes if code not in favorable)
        adverse = left[: _below(MAX_AGAINST + 1, rng)]
    applicant = _applicant(chosen, adverse, favorable, unknown, rng)
    favorable = tuple(code for code in favorable if _allowed(applicant, code, favorable=True))
    adverse = tuple(code for code in adverse if _allowed(applicant, code, favorable=False))
    if not favorable and not adverse:
        return random_assessment(rng, chosen)
    assessment = Assessment(
        applicant=applicant,
        decision="approved" if favorable else "declined",
        default_probability=round(0.02 + 0.13 * rng.random() if favorable else 0.2 + 0.6 * rng.random(), 4),
        cutoff=0.18,
        reasons=_weighed(adverse, 1, rng),
        strengths=_weighed(favorable, -1, rng),
    )
    return assessment, style


def choose(options: tuple[T, ...], rng: Random) -> T:
    """One of ``options``, all as likely."""
    return options[_below(len(options), rng)]


def shuffled(items: tuple[T, ...], rng: Random) -> tuple[T, ...]:
    """``items`` in an order drawn evenly from all orders."""
    rest, drawn = list(items), []
    while rest:
        drawn.append(rest.pop(_below(len(rest), rng)))
    return tuple(drawn)


def _unknown(product: Product, rng: Random) -> Field | None:
    """A field whose value is not known this time, if any."""
    may = tuple(f for f in product.features if f.when_missing and f.formula is None)
    return choose(may, rng) if may and rng.random() < UNKNOWN_SHARE else None


def _possible_codes(product: Product, unknown: Field | None, rng: Random) -> tuple[str, ...]:
    """Codes that may occur together: reasons of values, of one that is not known, or of a missing file alone."""
    own = {f.reason for f in product.features if f is not unknown}
    own |= {unknown.when_missing} if unknown else set()
    flag = product.fields[product.no_file].reason if product.no_file else ""
    if flag and rng.random() < NO_FILE_SHARE:
        elsewhere = [
            code for code in product.reasons if code in own and "consumer_report" not in product.origins(code)
        ]
        return (flag, *(code for code in elsewhere if code != flag))
    return tuple(code for code in product.reasons if code in own and code != flag)


def _allowed(applicant: Applicant, code: str, *, favorable: bool) -> bool:
    """Whether the facts let a reason stand."""
    one = applicant.product.reasons[code]
    rule = one.favorable_if if favorable else one.adverse_if
    return rule is None or rule.of(applicant.values) != 0


def _weighed(codes: tuple[str, ...], sign: int, rng: Random) -> tuple[Reason, ...]:
    """Contributions in falling size, with strengths that never rise along the list."""
    sizes = sorted((0.05 + 1.6 * rng.random() for _ in codes), reverse=True)
    return tuple(
        Reason(code=code, contribution=round(sign * size, 4), strength=_strength(size))
        for code, size in zip(codes, sizes, strict=True)
    )


def _strength(size: float) -> Strength:
    return "strong" if size > 1.0 else "moderate" if size > 0.45 else "slight"


def _applicant(
    product: Product, adverse: tuple[str, ...], favorable: tuple[str, ...], unknown: Field | None, rng: Random
) -> Applicant:
    without = bool(product.no_file) and product.fields[product.no_file].reason in adverse
    values: dict[str, Value] = {}
    for name, one in product.values.items():
        absent = one is unknown or (without and one.origin == "consumer_report")
        if one.formula is None and not absent:
            values[name] = _value(one, _side(one, adverse, favorable), rng)
    _fit_formulas(product, values, adverse, favorable, rng)
    return Applicant(f"S{_below(10**9, rng):09d}", values, product)


def _side(one: Field, adverse: tuple[str, ...], favorable: tuple[str, ...]) -> str:
    if one.reason in adverse:
        return "adverse"
    if one.reason in favorable:
        return "favorable"
    return ""


def _value(one: Field, side: str, rng: Random) -> Value:
    """A value of a field that fits the side its factor is on."""
    if one.kind == "yesno":
        safe = one.risk != "+"
        return safe if side == "favorable" or (side == "" and rng.random() < 0.8) else not safe
    if one.kind == "category":
        return choose(one.levels or tuple(map(str, one.map.values())), rng)
    if not one.numeric:
        return None
    risky, good = (_SAFER if one.risk == "-" else _RANGES)[one.kind]
    lowest, highest = {"adverse": risky, "favorable": good}.get(side, risky if rng.random() < 0.5 else good)
    if one.kind in ("score", "number"):
        low, high = one.low or 0.0, one.high if one.high is not None else (one.low or 0.0) + 100
        lowest, highest = low + lowest * (high - low), low + highest * (high - low)
    drawn = lowest + (highest - lowest) * rng.random()
    drawn = min(
        max(drawn, one.low if one.low is not None else drawn), one.high if one.high is not None else drawn
    )
    if one.kind == "money":
        return float(max(500 * round(drawn / 500), one.low or 0))
    if one.kind in ("count", "score"):
        return round(drawn)
    return float(round(drawn, 1 if one.kind in ("percent", "number") else 0))


def _fit_formulas(
    product: Product,
    values: dict[str, Value],
    adverse: tuple[str, ...],
    favorable: tuple[str, ...],
    rng: Random,
) -> None:
    """Draw the amounts behind a formula again until it is on the side that its factor is on."""
    for one in product.in_order_of_need:
        side = _side(one, adverse, favorable)
        inputs = [
            product.fields[name] for name in sorted(product.inputs(one.name)) if values.get(name) is not None
        ]
        if not side or not one.numeric or one.kind not in _RANGES or not inputs:
            continue
        risky, good = (_SAFER if one.risk == "-" else _RANGES)[one.kind]
        wanted = risky if side == "adverse" else good
        for _ in range(MOST_DRAWS):
            made = derived(values, product).get(one.name)
            if isinstance(made, float) and wanted[0] <= made <= wanted[1]:
                break
            for field in inputs:
                values[field.name] = _value(field, "", rng)


def _below(count: int, rng: Random) -> int:
    return min(count - 1, int(rng.random() * count))
