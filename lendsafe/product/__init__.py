"""A lender's product: what its fields and reasons are, described once, in one file.

``load`` reads a file or a packaged product, :class:`Product` is what everything else derives from,
``read_table`` reads a raw file by it, ``new`` drafts one from a raw file, ``check`` says all that one lacks.
"""

from lendsafe.product.json_schema import schema
from lendsafe.product.model import Field, Policy, Product, ReasonCode, Value
from lendsafe.product.read import PACKAGED, examine, load, packaged, product_from
from lendsafe.product.show import long_date, shown
from lendsafe.product.values import SpecialError, from_json, in_range


def consumer() -> Product:
    """The consumer installment loan that ships."""
    return packaged("consumer")


__all__ = [
    "PACKAGED",
    "Field",
    "Policy",
    "Product",
    "ReasonCode",
    "SpecialError",
    "Value",
    "consumer",
    "examine",
    "from_json",
    "in_range",
    "load",
    "long_date",
    "packaged",
    "product_from",
    "schema",
    "shown",
]
