"""Settings of generating and scoring narratives; light to import, so that ``--help`` is quick."""

from dataclasses import dataclass
from typing import Literal

from lendsafe.corpus import first_system
from lendsafe.eval.truth.figures import Limit
from lendsafe.fields import knob


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateConfig:
    """How narratives are generated."""

    max_tokens: int = knob(400, "Longest narrative.", unit="tokens", low=1, high=8192)
    temperature: float = knob(0.0, "Sampling temperature of the first try; 0 is greedy.", low=0, high=2)
    retry_temperature: float = knob(0.5, "Sampling temperature of further tries.", low=0, high=2)
    retries: int = knob(2, "Further tries after a narrative that fails a check.", low=0, high=10)
    generation_seed: int = knob(0, "Seed of sampling.", low=0)
    unreviewed: Literal["template", "hold"] = knob(
        "template",
        "What becomes of a text that may not be sent: the product's words, or it waits for a person.",
    )
    generation_batch: int = knob(32, "Narratives generated side by side.", low=1, high=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalConfig:
    """How predictions are scored."""

    encoder: str = knob("roberta-large", "BERTScore's encoder: a name in the Hub's cache, or a local folder.")
    encoder_layer: int | None = knob(None, "Layer of the encoder; needed for a local folder.", low=1, high=64)
    limit: int | None = knob(None, "Score only this many rows.", low=1)
    eval_seed: int = knob(0, "Seed of the bootstrap and of the grammar's second draw.", low=0)
    policy_score: float = knob(
        first_system.MINIMUM_SCORE,
        "Lender's minimum credit score, for rows without an assessment.",
        low=300,
        high=850,
    )
    policy_debt: float = knob(
        first_system.MOST_DEBT,
        "Lender's largest debt-to-income ratio, for rows without an assessment.",
        unit="percent",
        low=0,
        high=500,
    )

    @property
    def limits(self) -> dict[str, Limit]:
        """Bounds that a text may cite where only the facts are known."""
        from lendsafe.product import consumer  # as light as its file is long

        product = consumer()
        debt = next(
            one.field for one in product.policy.knockouts if product.fields[one.field].kind == "percent"
        )
        return {product.score.field: Limit(low=self.policy_score), debt: Limit(high=self.policy_debt)}
