"""A training run: loop, state, checkpoints, metrics, supervision."""
