"""Models and adapters as files: bases in, adapters in and out, fused models."""
