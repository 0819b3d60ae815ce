"""A scorecard for other systems: SQL, and Python that needs the standard library alone.

Both compute the same log-odds as :class:`~lendsafe.risk.model.scorecard.Scorecard`: numbers are written
so that they come back bit for bit, and lines are added in the same order.
"""

from lendsafe.risk.features import Feature
from lendsafe.risk.model.scorecard import Attribute, CardBin, Scorecard


def to_sql(card: Scorecard, table: str = "applications") -> str:
    """A query that adds ``log_odds`` and ``default_probability`` to each row of a table.

    Columns are the features by name; texts as the levels say, values that are not known as NULL.

    Args:
        card: A fitted card.
        table: Table of encoded features.
    """
    terms = [repr(card.intercept)] + [
        _case(one, _ordered(card, one.name), _no_file(card)) for one in card.attributes
    ]
    return "\n".join(
        [
            "-- Log-odds and probability of default of a scorecard; NULL is a value that is not known.",
            "SELECT scored.*, 1.0 / (1.0 + EXP(-scored.log_odds)) AS default_probability",
            "FROM (",
            "  SELECT t.*,",
            "    " + "\n    + ".join(terms) + " AS log_odds",
            f"  FROM {_name(table)} AS t",
            ") AS scored;",
            "",
        ]
    )


def to_python(card: Scorecard) -> str:
    """A module with ``log_odds(row)`` and ``default_probability(row)`` of a mapping of features to values."""
    lines = [
        '"""A scorecard. Standard library only; None is a value that is not known."""',
        "",
        "from math import exp",
        "",
        "",
        "def log_odds(row):",
        '    """Log-odds of default of one application, a mapping of feature names to values."""',
        f"    total = {card.intercept!r}",
    ]
    for one in card.attributes:
        lines += _branches(one, _ordered(card, one.name), _no_file(card))
    lines += [
        "    return total",
        "",
        "",
        "def default_probability(row):",
        '    """Probability of default of one application."""',
        "    z = log_odds(row)",
        "    return 1 / (1 + exp(-z)) if z >= 0 else exp(z) / (1 + exp(z))",
        "",
    ]
    return "\n".join(lines)


def _no_file(card: Scorecard) -> str:
    """Column that says an application has no credit file, or the empty string."""
    return next((column.name for column in card.features.columns if column.no_file), "")


def _ordered(card: Scorecard, name: str) -> Feature | None:
    """The declaration of a feature whose texts are in order, or None: its bins are ranges of positions."""
    found = next(f for f in card.features.features if f.name == name)
    return found if found.levels and found.ordered else None


def _texts(line: CardBin, feature: Feature | None) -> tuple[str, ...]:
    """Texts of a line: its own, or the levels whose positions it spans."""
    if feature is None or line.unknown or line.no_file:
        return line.texts
    return tuple(
        level
        for i, level in enumerate(feature.levels)
        if (line.low is None or i >= line.low) and (line.high is None or i < line.high)
    )


def _case(one: Attribute, feature: Feature | None, no_file: str) -> str:
    column = f"t.{_name(one.name)}"
    whens = []
    for line in sorted(one.bins, key=lambda line: (not line.no_file, not line.unknown)):
        if line.no_file:
            test = f"{column} IS NULL AND t.{_name(no_file)} > 0"
        elif line.unknown:
            test = f"{column} IS NULL"
        elif texts := _texts(line, feature):
            test = f"{column} IN ({', '.join(map(_quoted, texts))})"
        elif line.high is None:
            test = f"{column} IS NOT NULL"
        else:
            test = f"{column} < {line.high!r}"
        whens.append(f"WHEN {test} THEN {line.log_odds!r}")
    return "CASE " + " ".join(whens) + " END"


def _branches(one: Attribute, feature: Feature | None, no_file: str) -> list[str]:
    lines = [f"    value = row.get({one.name!r})"]
    unknown = next(line for line in one.bins if line.unknown)
    lines.append("    if value is None or value != value:")
    worth = repr(unknown.log_odds)
    if one.bins[-1].no_file:
        worth = f"{one.bins[-1].log_odds!r} if row.get({no_file!r}) else {worth}"
    lines.append(f"        total += {worth}")
    for line in (line for line in one.bins if not line.unknown and not line.no_file):
        if texts := _texts(line, feature):
            lines.append(f"    elif value in {texts!r}:")
        elif line.high is None:
            lines.append("    else:")
        else:
            lines.append(f"    elif value < {line.high!r}:")
        lines.append(f"        total += {line.log_odds!r}")
    if _is_text(one, feature):
        lines += ["    else:", f"        raise ValueError({f'{one.name}: unknown text'!r} + f' {{value!r}}')"]
    return lines


def _is_text(one: Attribute, feature: Feature | None) -> bool:
    return feature is not None or any(line.texts for line in one.bins)


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
