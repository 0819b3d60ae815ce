"""What the checks would say of a product's own words, before the first letter is written."""

import random
from collections.abc import Iterator

from lendsafe import slots, template
from lendsafe.corpus.approved import wordings
from lendsafe.corpus.scenarios import random_assessment
from lendsafe.eval.truth.checks import check_sent
from lendsafe.product import Product

DRAWS = 60  # assessments whose fixed words are read as they would be sent


def unsendable(product: Product) -> Iterator[str]:
    """Every wording of a product that a check refuses, each once, with the rule.

    A word that promises, advises or names a prohibited basis keeps each letter that holds it from being sent.
    """
    rng = random.Random(0)  # noqa: S311  # examples, no secrets
    seen: set[tuple[str, str]] = set()
    for _ in range(DRAWS):
        assessment, style = random_assessment(rng, product)
        text = slots.render(template.template(assessment, style), slots.facts(assessment))
        for one in check_sent(text, assessment, prose=False):
            said = text[one.start : one.end]
            if (one.rule, said) not in seen:
                seen.add((one.rule, said))
                yield f"'{said}' keeps a letter from being sent ({one.rule}: {one.message.rstrip('.')})"
    values = slots.facts(random_assessment(rng, product)[0])
    about = random_assessment(rng, product)[0]
    for part, wording in wordings(product):
        if part.kind != "factor":
            continue
        text = slots.SLOT.sub(lambda match: values.get(match[1], "5"), wording)
        for one in check_sent(text, about, prose=False):
            said = text[one.start : one.end]
            if (one.rule, said) not in seen:
                seen.add((one.rule, said))
                why = f"{one.rule}: {one.message.rstrip('.')}"
                yield f"'{said}' in the words of '{part.code}' keeps a letter from being sent ({why})"
