"""What is approved of the consumer product."""

from functools import lru_cache

from lendsafe.corpus import approved
from lendsafe.eval.truth.language import Language
from lendsafe.parts import Part
from lendsafe.product import packaged

CONSUMER = packaged("consumer")


@lru_cache(maxsize=1)
def pairs() -> tuple[tuple[Part, str], ...]:
    """Every approved wording with its part."""
    return tuple(approved.wordings(CONSUMER))


@lru_cache(maxsize=1)
def language() -> Language:
    """The language of those wordings."""
    return approved.language(CONSUMER)
