"""The reference of the product file is what the dataclasses say."""

from dataclasses import fields
from pathlib import Path

import pytest

from lendsafe.product.model import Field, KnockOut, Policy, Request, Score
from lendsafe.product.reader import REASON_KEYS, SECTIONS
from lendsafe.product.reference import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "product-file.md"


def test_the_page_is_what_the_generator_gives():
    assert PAGE.read_text("utf-8") == page()


@pytest.mark.parametrize("kind", [Field, KnockOut, Policy, Request, Score])
def test_every_key_of_the_dataclasses_is_there(kind):
    own = {"name"} if kind is Field else {"knockouts"}
    for one in fields(kind):
        assert one.name in own or f"| `{one.name}` |" in page()


def test_every_section_and_every_key_of_a_reason_is_there():
    for section in SECTIONS:
        assert f"`[{section}]`" in page() or f"`[[{section}]]`" in page() or f"| `{section}` |" in page()
    for key in REASON_KEYS:
        assert f"| `{key}` |" in page()


def test_ranges_and_defaults_are_those_of_the_code():
    assert "| `high` | whole number | `850` |" in page()
    assert "| `cutoff` | number, 0 to 1 | - |" in page()
    assert "| `digits` | whole number, 1 or more | - |" in page()
