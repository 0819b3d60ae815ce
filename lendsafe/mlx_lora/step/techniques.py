"""What the training step does beside the plain computation, each to be switched off to see what it is worth."""

from dataclasses import dataclass, field

from lendsafe.mlx_lora import backend


def _on_gpu() -> bool:
    return backend.name() != "cpu"


@dataclass(frozen=True)
class Techniques:
    """How a micro-batch is computed; the loss and its gradient are the same, up to rounding, whatever is chosen.

    Attributes:
        packed: Compute no padding, where the architecture is known (:class:`~lendsafe.mlx_lora.step.packed.Packed`).
        share_prefix: Compute the prefix that all sequences share once (:func:`~lendsafe.mlx_lora.step.layout.shared`).
        gate_first: Gate the expert's hidden activation, not its output.
        group_experts: Give each expert its rows in blocks (:class:`~lendsafe.mlx_lora.step.routing.Route`).
        trim_last: Compute the last layer only where the loss looks.
        fuse_loss: Loss and its gradient in one pass, a chunk of logits at a time
            (:func:`~lendsafe.mlx_lora.step.loss.projected_losses_with_gradient`).
        fold_scale: Divide hidden states in place of logits.
        sort_lengths: Put examples of similar lengths into a micro-batch (:func:`~lendsafe.mlx_lora.step.batches.cut`).
        side_by_side: On the CPU, a micro-batch on each core (:func:`~lendsafe.mlx_lora.step.workers.summed`).
        ahead: Else prepare a micro-batch while the one before is computed (there as well).
        recompute: ``none``, ``experts`` or ``layer``: what the backward pass computes again.
        buckets: Round sizes up, so that few shapes occur (:mod:`~lendsafe.mlx_lora.step.layout`); a GPU compiles,
            allocates and plans by shape.
        compiled: Compile the gradient, once a shape; off on the CPU, whose compiled kernels are no faster.
        late: Compute the next window's gradient before a step's loss is read, so that a GPU never waits for the host.
        dequantise: Restore a quantised weight once a pass and multiply in the activations' type.
        kernels: Sum experts' outputs and draw dropout in kernels that store nothing in between
            (:mod:`~lendsafe.mlx_lora.step.kernels`); elsewhere the same numbers from MLX's own operations.
        one_product: Multiply by gate and up at once; not on CUDA, whose grouped product reads views wrongly.
        one_a: Apply the first factors of all adapters that read the same rows as one; they share a dropout mask.
    """

    packed: bool = True
    share_prefix: bool = True
    gate_first: bool = True
    group_experts: bool = True
    trim_last: bool = True
    fuse_loss: bool = True
    fold_scale: bool = True
    sort_lengths: bool = True
    side_by_side: bool = True
    ahead: bool = True
    recompute: str = "none"
    buckets: bool = field(default_factory=_on_gpu)
    compiled: bool = field(default_factory=_on_gpu)
    late: bool = field(default_factory=_on_gpu)
    dequantise: bool = True
    kernels: bool = field(default_factory=_on_gpu)
    one_product: bool = field(default_factory=lambda: backend.name() == "metal")
    one_a: bool = field(default_factory=_on_gpu)

    @property
    def workers(self) -> int:
        """Micro-batches that are computed side by side."""
        return backend.workers() if self.side_by_side else 1
