"""Granite 4, where all its layers are attention: a state-space layer reads a sequence from its start, padded."""

from dataclasses import replace

from lendsafe.mlx_lora.step.architectures import granitemoe
from lendsafe.mlx_lora.step.architectures.record import ATTENTION_BIAS, MLP_BIAS, Place

_DENSE = (
    Place(("mlp.gate_proj", "mlp.up_proj"), "shared_mlp.input_linear"),
    Place(("mlp.down_proj",), "shared_mlp.output_linear"),
)

ARCHITECTURE = replace(
    granitemoe.ARCHITECTURE,
    name="granitemoehybrid",
    biases={**ATTENTION_BIAS, **MLP_BIAS},
    mixture=replace(granitemoe.MIXTURE, shared="shared_intermediate_size"),
    allows=lambda config: set(config.get("layer_types") or ()) == {"attention"},
    places={5: (*granitemoe.EXPERTS, *_DENSE), 4: (*granitemoe.STORED, *_DENSE)},
    stored=(*granitemoe.STORED, *_DENSE),
    finer=("router",),
)
