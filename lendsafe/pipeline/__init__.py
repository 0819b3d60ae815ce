"""The one place that knows every room. Each module is one use of them together."""
