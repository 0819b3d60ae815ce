"""The JSON Schema of a product file."""

import re
from typing import Any

from lendsafe import fields
from lendsafe.product.model import (
    PLACES,
    Field,
    Joint,
    KnockOut,
    Override,
    Policy,
    Request,
    Score,
    SetAside,
    Words,
)
from lendsafe.product.read import PACKAGED


def schema() -> dict[str, Any]:
    """JSON Schema of a product file, from the dataclasses that it is read into."""
    phrases = {
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}},
            {
                "type": "object",
                "additionalProperties": {
                    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
                },
            },
        ]
    }  # fmt: skip
    one_field = fields.json_schema(Field, without=("name",))
    one_field["properties"]["formula"] = {
        "type": "string",
        "description": "Arithmetic over other fields instead of a column.",
    }
    places = {place: phrases | {"description": _first_line(Words, place)} for place in (*PLACES, "fact")}
    reason = {
        "type": "object",
        "additionalProperties": False,
        "required": ["statement"],
        "properties": {
            "statement": {"type": "string", "description": "The reason as the notice states it."},
            "form": {"type": "string", "description": "Form C-1, or other; found from the statement if not given."},
            "favorable": {"type": "string", "description": "The same factor when it helps, for the prompt."},
            "slots": {"type": "array", "items": {"type": "string"}, "description": "Fields that may be shown for it."},
            "adverse_if": {"type": "string", "description": "Condition on the facts without which it is no reason."},
            "favorable_if": {"type": "string", "description": "Condition without which it cannot help."},
            "template": {"type": "array", "items": {"type": "string"},
                "description": "Noun phrase against, noun phrase in favor, fact sentence of the standard text."},
            **places,
            "held_out": {"type": "object", "properties": places, "description": "Wordings that no training pair uses."},
        },
    }  # fmt: skip
    policy = fields.json_schema(Policy, without=("knockouts",))
    policy["properties"]["knockouts"] = {"type": "array", "items": fields.json_schema(KnockOut)}
    texts = {"type": "array", "items": {"type": "string"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "LendSafe product",
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "fields", "reasons"],
        "properties": {
            "name": {
                "type": "string",
                "description": "Name of the product, for messages, lineage and cards.",
            },
            "extends": {
                "enum": list(PACKAGED),
                "description": "Packaged product that this file is laid over.",
            },
            "missing": texts | {"description": "Texts that mean 'not known' in every column."},
            "footer": texts | {"description": "Beginnings of lines that are no rows."},
            "no_file": {
                "type": "string",
                "description": "Yes/no field that is true where there is no credit file.",
            },
            "fields": {"type": "object", "additionalProperties": one_field},
            "reasons": {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, reason]}},
            "policy": policy,
            "request": fields.json_schema(Request),
            "score": fields.json_schema(Score),
            "aside": {"type": "array", "items": fields.json_schema(SetAside)},
            "joint": fields.json_schema(Joint),
            "overrides": {"type": "array", "items": fields.json_schema(Override)},
        },
    }


def _first_line(kind: type[Any], name: str) -> str:
    """What the class's docstring says of an attribute."""
    match = re.search(rf"^\s+{name}: (.*)$", kind.__doc__ or "", re.MULTILINE)
    return match[1] if match else "Sentences that show its facts as slots, on either side."
