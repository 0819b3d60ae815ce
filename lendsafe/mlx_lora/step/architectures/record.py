"""What tells one family of models from another, as data: read by the packed step, planner, targets and exports.

A family is a module beside this one with one :class:`Architecture`. Its layers are those of mlx-lm's model: what an
instance shows by itself (biases, norms of queries and keys, how positions are rotated) is read off it, not listed
here for the step; the planner, which loads nothing, reads it here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Config = Mapping[str, Any]  # content of config.json, or the arguments of mlx-lm's model


@dataclass(frozen=True, slots=True)
class Place:
    """A weight of transformers' model that corresponds to one or more layers of mlx-lm's.

    Attributes:
        parts: Last names of mlx-lm's layers, in the order of their rows in the weight.
        module: Last names of transformers' module; "{e}" numbers experts that are stored one by one.
        parameter: Its bare parameter, or nothing if the module is a linear layer.
    """

    parts: tuple[str, ...]
    module: str
    parameter: str = ""

    @property
    def name(self) -> str:
        """Module and parameter, as PEFT's patterns match them."""
        return f"{self.module}.{self.parameter}" if self.parameter else self.module


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """A layer's mixture of experts.

    Attributes:
        module: Its name in a layer.
        router: Path of the linear layer in it that scores the experts.
        softmax_first: Whether gates are chosen from probabilities over all experts, or are those of the chosen.
        renormalise: Key of the configuration that says whether chosen probabilities are made to add up to one.
        count: Key of the number of experts.
        inner: Key of an expert's hidden size.
        shared: Key of the hidden size of an expert that every token meets, ``shared_mlp`` of the layer.
        layers: Which layers have one; None for all.
    """

    module: str
    router: str
    softmax_first: bool = False
    renormalise: str = ""
    count: str = "num_local_experts"
    inner: str = "intermediate_size"
    shared: str = ""
    layers: Callable[[Config, int], bool] | None = None

    def among(self, config: Config, layers: int) -> int:
        """How many of the first ``layers`` layers have one."""
        return sum(self.layers(config, layer) for layer in range(layers)) if self.layers else layers


@dataclass(frozen=True, slots=True)
class Linear:
    """Layers of one kind.

    Attributes:
        name: Last part of their path, or ``router``.
        inputs: I.
        outputs: O.
        copies: Experts in one stack; 1 for a linear layer.
        active: Of those, how many one token meets.
        layers: How many layers have one.
        bias: Whether it adds one.
        stacked: Whether it is a stack of experts.
    """

    name: str
    inputs: int
    outputs: int
    copies: int = 1
    active: int = 1
    layers: int = 1
    bias: bool = False
    stacked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """A model in numbers.

    Attributes:
        hidden: D.
        layers: Blocks.
        heads: Of the queries.
        kv_heads: Of keys and values.
        head: Numbers of one head.
        inner: Hidden size of the feed-forward part that is no mixture, or of its shared expert; 0 without.
        vocabulary: V.
        tied: Whether the vocabulary projection is the embedding.
        experts: In a mixture; 0 without.
        chosen: Experts that a token meets.
        expert_inner: Hidden size of an expert.
        mixtures: Layers with a mixture.
        windows: How far back each layer's attention looks, in tokens; None for as far as there is.
        linears: Every kind of layer that may get an adapter.
        vectors: Numbers in norms.
    """

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    inner: int
    vocabulary: int
    tied: bool
    experts: int
    chosen: int
    expert_inner: int
    mixtures: int
    windows: tuple[int | None, ...]
    linears: tuple[Linear, ...]
    vectors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One family.

    Attributes:
        name: ``model_type`` of mlx-lm's model.
        aliases: Other values of ``model_type`` in ``config.json`` that mlx-lm builds the same model for.
        embedding: Factor of the embedded tokens; None for 1.
        residual: Key of the factor of what a part adds to the token stream.
        logits: Key of the divisor of the logits.
        norms: Names in a layer of the norms before and after attention, before and after the feed-forward part; an
            empty name where there is none.
        clipped: Whether the token stream is clipped to what float16 holds.
        activation: Of the feed-forward part's gate.
        fused: Layers that hold what others have apart: name asked for to name of the layer.
        biases: Names of attention's layers with a bias, or the configuration's keys of such a switch by name.
        query_norms: Whether queries and keys are normed by head.
        tied: Whether the projection is tied where the configuration does not say.
        window: How far back a layer looks; None for as far as there is.
        mixture: Of experts.
        allows: Whether the packed step knows all layers of a configuration; None for always.
        defaults: What holds where the configuration is silent.
        places: Weights that transformers keeps elsewhere, by its major version.
        stored: The same for the files on disk.
        finer: Layers that mlx-lm quantises to 8 bits at least.
    """

    name: str
    aliases: tuple[str, ...] = ()
    embedding: Callable[[Config], float] | None = None
    residual: str = ""
    logits: str = ""
    norms: tuple[str, str, str, str] = ("input_layernorm", "", "post_attention_layernorm", "")
    clipped: bool = False
    activation: str = "silu"
    fused: Mapping[str, str] = field(default_factory=dict)
    biases: Mapping[str, str | bool] = field(default_factory=dict)
    query_norms: bool = False
    tied: bool = True
    window: Callable[[Config, int], int | None] | None = None
    mixture: Mixture | None = None
    allows: Callable[[Config], bool] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[int, tuple[Place, ...]] = field(default_factory=dict)
    stored: tuple[Place, ...] = ()
    finer: tuple[str, ...] = ()

    def mixture_of(self, config: Config) -> Mixture | None:
        """The mixture, if this configuration has experts."""
        return self.mixture if self.mixture and config.get(self.mixture.count) else None

    def window_of(self, config: Config, layer: int) -> int | None:
        """How many tokens a layer looks back, itself included; None for all."""
        return self.window(config, layer) if self.window else None

    def factor(self, key: str, config: Config) -> float:
        """A factor of the configuration; 1 for a family without it."""
        return float(config[key]) if key else 1.0

    def sizes(self, config: Config) -> Sizes:
        """The model of a configuration, in numbers."""
        config = {**self.defaults, **config}
        hidden, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
        heads = int(config["num_attention_heads"])
        kv_heads = int(config.get("num_key_value_heads") or heads)
        head = int(config.get("head_dim") or hidden // heads)
        mixture = self.mixture_of(config)
        mixtures = mixture.among(config, layers) if mixture else 0
        dense, inner = layers - mixtures, int(config.get("intermediate_size") or 0)
        shared = int(config.get(mixture.shared) or 0) if mixture and mixture.shared else 0
        linears = [*self._attention(config, hidden, heads * head, kv_heads * head, layers)]
        if dense:
            linears += self._dense(config, hidden, inner, dense)
        if mixture:
            linears += _experts(mixture, config, hidden, mixtures)
        if shared:
            linears += [
                Linear("input_linear", hidden, 2 * shared, layers=mixtures),
                Linear("output_linear", shared, hidden, layers=mixtures),
            ]
        norms = sum(map(bool, self.norms)) * hidden + 2 * head * self.query_norms
        tied = config.get("tie_word_embeddings")
        return Sizes(
            hidden=hidden,
            layers=layers,
            heads=heads,
            kv_heads=kv_heads,
            head=head,
            inner=inner if dense else shared,
            vocabulary=int(config["vocab_size"]),
            tied=self.tied if tied is None else bool(tied),
            experts=int(config[mixture.count]) if mixture else 0,
            chosen=int(config["num_experts_per_tok"]) if mixture else 0,
            expert_inner=int(config[mixture.inner]) if mixture else 0,
            mixtures=mixtures,
            windows=tuple(self.window_of(config, layer) for layer in range(layers)),
            linears=tuple(linears),
            vectors=layers * norms + hidden,
        )

    def _attention(
        self, config: Config, hidden: int, wide: int, narrow: int, layers: int
    ) -> tuple[Linear, ...]:
        def one(name: str, inputs: int, outputs: int) -> Linear:
            return Linear(name, inputs, outputs, layers=layers, bias=self._bias(name, config))

        if "q_proj" in self.fused:
            return (
                one(self.fused["q_proj"], hidden, wide + 2 * narrow),
                one("o_proj", wide, hidden),
            )
        return (
            one("q_proj", hidden, wide),
            one("k_proj", hidden, narrow),
            one("v_proj", hidden, narrow),
            one("o_proj", wide, hidden),
        )

    def _dense(self, config: Config, hidden: int, inner: int, layers: int) -> list[Linear]:
        def one(name: str, inputs: int, outputs: int) -> Linear:
            return Linear(name, inputs, outputs, layers=layers, bias=self._bias(name, config))

        if "gate_proj" in self.fused:
            return [one(self.fused["gate_proj"], hidden, 2 * inner), one("down_proj", inner, hidden)]
        return [
            one("gate_proj", hidden, inner),
            one("up_proj", hidden, inner),
            one("down_proj", inner, hidden),
        ]

    def _bias(self, name: str, config: Config) -> bool:
        key = self.biases.get(name, False)
        return bool(config.get(key)) if isinstance(key, str) else key


def _experts(mixture: Mixture, config: Config, hidden: int, layers: int) -> list[Linear]:
    count, inner, active = (int(config[key]) for key in (mixture.count, mixture.inner, "num_experts_per_tok"))

    def one(name: str, inputs: int, outputs: int) -> Linear:
        return Linear(name, inputs, outputs, count, active, layers, stacked=True)

    return [
        one("gate_proj", hidden, inner),
        one("up_proj", hidden, inner),
        one("down_proj", inner, hidden),
        Linear("router", hidden, count, layers=layers),
    ]


ATTENTION_BIAS: Mapping[str, str | bool] = dict.fromkeys(
    ("q_proj", "k_proj", "v_proj", "o_proj"), "attention_bias"
)
MLP_BIAS: Mapping[str, str | bool] = dict.fromkeys(("gate_proj", "up_proj", "down_proj"), "mlp_bias")


def places_of_experts(layer: str, module: str) -> tuple[Place, Place]:
    """Where transformers 5 keeps a mixture's experts: gate and up in one bare parameter, down in another."""
    gate, up, down = (f"{layer}.switch_mlp.{name}_proj" for name in ("gate", "up", "down"))
    return Place((gate, up), module, "gate_up_proj"), Place((down,), module, "down_proj")
