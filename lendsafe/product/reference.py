"""The reference page of the product file, made from the schema that its dataclasses give.

``python -m lendsafe.product.reference > docs/product-file.md`` writes it.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from lendsafe.product.json_schema import schema
from lendsafe.product.model import Field, Joint, KnockOut, Override, Policy, Request, Score, SetAside

Table = Mapping[str, Any]

OPENING = """# The product file

One TOML file says what a lender's fields and reasons are: how a raw file is read, what the model looks at, what
letters say, disclose and ask for. `lendsafe product new FILE` drafts one, `lendsafe product check PRODUCT FILE` lists
what it lacks, `lendsafe product schema` prints this page as JSON Schema for editors.
[your-own-file.md](your-own-file.md) shows the whole way. A key without a default has to be there; - is nothing.

<!-- written by `python -m lendsafe.product.reference` -->
"""
TEMPLATE = "Tables in this form, one for each name that you choose:"


def page() -> str:
    """The whole page, Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    whole = schema()
    parts = whole["properties"]
    plain = {key: one for key, one in parts.items() if _entry(one) is None}
    yield OPENING
    yield from _section("Top of the file", plain, required=whole["required"])
    yield from _section("`[fields]`", _entry(parts["fields"])["properties"], Field, what=TEMPLATE)  # type: ignore[index]
    reason = _entry(parts["reasons"])
    assert reason is not None
    yield from _section(
        "`[reasons]`",
        reason["properties"],
        what="A code of your own with its statement as text, or with a table:",
        required=reason["required"],
    )
    policy = parts["policy"]["properties"]
    yield from _section("`[policy]`", {k: v for k, v in policy.items() if k != "knockouts"}, Policy)
    yield from _section("`[[policy.knockouts]]`", policy["knockouts"]["items"]["properties"], KnockOut)
    tables: dict[str, type[Any]] = {"request": Request, "score": Score, "joint": Joint}
    for key, kind in tables.items():
        yield from _section(f"`[{key}]`", parts[key]["properties"], kind)
    lists: dict[str, type[Any]] = {"aside": SetAside, "overrides": Override}
    for key, kind in lists.items():
        yield from _section(f"`[[{key}]]`", parts[key]["items"]["properties"], kind)


def _entry(one: Table) -> dict[str, Any] | None:
    """The table behind a key, if it is a section of its own: of one name, or of each."""
    for inner in (one, one.get("items", {}), one.get("additionalProperties", {})):
        if not isinstance(inner, Mapping):
            continue
        for found in (inner, *inner.get("anyOf", ())):
            if "properties" in found:
                return dict(found)
    return None


def _section(
    title: str,
    properties: Table,
    kind: type[Any] | None = None,
    what: str = "",
    required: list[str] | None = None,
) -> Iterator[str]:
    yield f"## {title}\n"
    if what:
        yield f"{what}\n"
    yield "| key | value | default | what it is |"
    yield "|---|---|---|---|"
    needed = required or ()
    for key, one in properties.items():
        default = "" if key in needed else _default(kind, key)
        yield f"| `{key}` | {_cell(_value(one))} | {default} | {_cell(one.get('description', ''))} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _value(one: Table) -> str:
    """What may stand there, in words."""
    if "enum" in one:
        return ", ".join(f'`"{word}"`' for word in one["enum"])
    if "properties" in one:
        return "table: " + ", ".join(f"`{key}`" for key in one["properties"])
    if "anyOf" in one:
        return "text, list of texts, or either by register"
    if one.get("type") == "array":
        return f"list of {_value(one['items'])}s"
    if one.get("type") == "object":
        inner = one["additionalProperties"]
        return f"table of {_value(inner)}s" if inner else "table"
    words = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true or false"}
    return words[one["type"]] + _span(one)


def _span(one: Table) -> str:
    low, high = one.get("minimum"), one.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    return f", {low} or more" if low is not None else (f", {high} or less" if high is not None else "")


def _default(kind: type[Any] | None, key: str) -> str:
    """The dataclass's default as TOML has it; a dash for none, nothing where the key is needed."""
    found = next((f for f in fields(kind) if f.name == key), None) if kind else None
    if found is None:
        return "-"  # of a part of the file that is no dataclass: left out, it is not there
    value = found.default_factory() if found.default_factory is not MISSING else found.default
    if value is MISSING:
        return ""
    if value is None or value in ("", (), {}):
        return "-"
    return (
        f"`{str(value).lower()}`"
        if isinstance(value, bool)
        else (f'`"{value}"`' if isinstance(value, str) else f"`{value}`")
    )


if __name__ == "__main__":
    sys.stdout.write(page())
