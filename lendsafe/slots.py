"""Facts as named slots: ``{income}`` in a narrative, ``$41,000`` when rendered.

The language model writes the name, never the figure; each fact is formatted once, by its product.
"""

import re

from lendsafe.errors import DataError
from lendsafe.product import Product, shown
from lendsafe.product.show import dollars
from lendsafe.records import Assessment

SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")
OFFER = "counteroffer_amount"  # the one slot that is no field: it is made with the decision


def facts(assessment: Assessment) -> dict[str, str]:
    """Every slot that has a value for this assessment, formatted as a reader sees it.

    A count carries its noun (``1 inquiry``, ``5 inquiries``) and a figure its period, so that a sentence around a
    slot is right for every value.
    """
    applicant = assessment.applicant
    found = {}
    for name, value in applicant.values.items():
        one = applicant.product.fields[name]
        if not (isinstance(value, str) and one.numeric):  # a code that stands in place of a value
            found[name] = shown(one, value)
    if assessment.counteroffer_amount is not None:
        amount = applicant.product.fields.get(applicant.product.request.amount)
        found[OFFER] = dollars(assessment.counteroffer_amount, amount.unit if amount else "")
    return found


def known(product: Product) -> frozenset[str]:
    """Every slot that a narrative of the product may hold."""
    return frozenset((*product.values, OFFER))


def names(text: str) -> list[str]:
    """Slots in ``text``, in order, with repetitions."""
    return SLOT.findall(text)


def render(text: str, values: dict[str, str]) -> str:
    """Fill every slot of ``text``.

    Raises:
        DataError: If a slot has no value.
    """

    def fill(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise DataError(f"Unknown slot '{match[0]}'. Known: {', '.join(sorted(values))}.")
        return values[match[1]]

    return SLOT.sub(fill, text)
