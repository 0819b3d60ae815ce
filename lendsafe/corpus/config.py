"""Settings of the synthetic set; apart from what generates it, so that help pages need no pandas."""

from dataclasses import dataclass

from lendsafe.errors import ConfigError
from lendsafe.fields import check, knob


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthConfig:
    """What is generated."""

    n: int = knob(1500, "Examples, training and validation together.", low=20, high=100_000)
    seed: int = knob(42, "Same seed, same bytes.", low=0)
    history: int = knob(
        100_000,
        "Past applicants with outcomes, to train the risk model on; 0 writes none.",
        low=0,
        high=1_000_000,
    )

    def __post_init__(self) -> None:
        check(self, ConfigError)
