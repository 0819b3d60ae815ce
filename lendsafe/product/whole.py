"""What contradicts itself across a product: fields and their reasons, roles, columns, the request, the score."""

from collections.abc import Iterator

from lendsafe.fields import did_you_mean
from lendsafe.product import protected
from lendsafe.product.model import Field, Product

At = tuple[tuple[str, ...], str]  # path of a key, and what is wrong with it
ONCE = ("outcome", "decision", "identifier", "customer", "weight", "contact.name", "date.received", "date.completed",
        "date.score_created", "key_factors")  # fmt: skip


def contradictions(product: Product) -> Iterator[At]:
    """What contradicts itself across the file."""
    if not product.name:
        yield (("name",), "is missing")
    yield from _reasons_of_fields(product)
    yield from _roles(product)
    yield from _columns(product)
    for name, flaw in protected.refused(product):
        yield (("fields", name), flaw)
    for key, name in (("amount", product.request.amount), ("term", product.request.term),
                      ("purpose", product.request.purpose)):  # fmt: skip
        if name and name not in product.values:
            yield (
                ("request", key),
                f"no field '{name}' of an application.{did_you_mean(name, list(product.values))}",
            )
    if product.request.amount in product.values and not product.fields[product.request.amount].numeric:
        yield (("request", "amount"), f"'{product.request.amount}' is no number")
    if (name := product.score.field) and name not in product.values:
        yield (("score", "field"), f"no field '{name}'.{did_you_mean(name, list(product.values))}")
    if (name := product.no_file) and (name not in product.fields or product.fields[name].kind != "yesno"):
        yield (("no_file",), f"'{name}' is no yes/no field")


def _reasons_of_fields(product: Product) -> Iterator[At]:
    used: set[str] = set()
    for one in product.fields.values():
        path = ("fields", one.name)
        if one.role != "feature":
            continue
        if not one.reason:
            yield ((*path, "reason"), "every feature needs exactly one reason; name one of [reasons]")
        for key, code in (("reason", one.reason), ("when_missing", one.when_missing),
                          *(("special", code) for code in one.special.values())):  # fmt: skip
            if code and code not in product.reasons:
                yield ((*path, key), f"no reason '{code}'.{did_you_mean(code, list(product.reasons))}")
            used.add(code)
    used |= {rule.reason for rule in product.policy.knockouts}
    for code in product.reasons:
        if code not in used:
            yield (("reasons", code), "no feature and no rule gives this reason; remove it or name it")


def _roles(product: Product) -> Iterator[At]:
    for role in ONCE:
        if len(several := product.with_role(role)) > 1:  # type: ignore[arg-type]  # a literal of Role
            yield (("fields", several[1].name, "role"), f"'{several[0].name}' has the role '{role}' already")
    if not product.features:
        yield (("fields",), "no field is a feature")
    for one in product.fields.values():
        if one.role.startswith("date") and one.kind != "date":
            yield (
                ("fields", one.name, "kind"),
                f"is {one.kind}; a field with the role '{one.role}' is a date",
            )


def _columns(product: Product) -> Iterator[At]:
    seen: dict[str, Field] = {}
    for one in product.fields.values():
        for column in one.columns:
            other = seen.setdefault(column, one)
            twice = other is not one and "outcome" in (other.role, one.role)
            if twice:
                yield (
                    ("fields", one.name, "columns"),
                    f"'{column}' is the column of '{other.name}' too; an outcome's column can be nothing else "
                    "(it would give the outcome away)",
                )
