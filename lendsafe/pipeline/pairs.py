"""Training pairs from files to a folder: the consumer process, or a lender's own scored applications."""

from collections.abc import Callable
from pathlib import Path

from lendsafe.corpus import pairs
from lendsafe.corpus import synth as corpus
from lendsafe.corpus.config import SynthConfig
from lendsafe.errors import ConfigError
from lendsafe.product import load
from lendsafe.risk import dataset
from lendsafe.risk.model import RiskEngine

STRENGTHS = ("slight", "moderate", "strong")


def synth(
    product: str,
    config: SynthConfig,
    out: Path,
    risk: Path | None = None,
    applications: Path | None = None,
    done: Callable[[int, int], None] | None = None,
) -> corpus.Synthetic:
    """Write training pairs into ``out``.

    Args:
        product: Packaged product, or path of one; ``consumer`` without applications keeps its own process.
        config: How many, and from which seed.
        out: New or empty folder.
        risk: Model that scores ``applications`` and gives their reasons.
        applications: Past applications; without them assessments are drawn from the fields' ranges.
        done: Called with narratives written and narratives in all.

    Raises:
        ConfigError: If the model was trained for a product that decides otherwise.
        ExistsError: If ``out`` holds something.
    """
    if product == "consumer" and risk is None:
        return corpus.write(config, out, done)
    chosen = load(product)
    engine = RiskEngine.load(risk) if risk else None
    if engine and engine.features.product.decisive_sha256 != chosen.decisive_sha256:
        raise ConfigError(
            f"{risk}: trained for product '{engine.features.product.name}', which differs from {product} in fields, "
            "reasons or policy. Train again with the product in use."
        )
    frame = dataset.read(applications, chosen).frame if applications else None
    return corpus.write(config, out, done, lambda: pairs.make(chosen, config, engine, frame, done))


def coverage_in_words(made: corpus.Synthetic) -> str:
    """How often each reason is named on each side at each strength, as aligned lines."""
    width = max(map(len, made.product.reasons))
    lines = [f"{'':<{width}}  against: {' '.join(STRENGTHS)}   in favor: {' '.join(STRENGTHS)}"]
    for code in made.product.reasons:
        cells = [
            " ".join(f"{made.coverage.get((code, side, size), 0):>{len(size)}}" for size in STRENGTHS)
            for side in ("against", "in favor")
        ]
        lines.append(f"{code:<{width}}           {cells[0]}             {cells[1]}")
    return "\n".join(lines)
