"""One micro-batch: where tokens sit, the forward pass without a wasted token, loss and gradient."""
