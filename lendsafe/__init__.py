"""LendSafe: true, specific explanations of lending decisions, on the lender's own machine."""

__version__ = "0.1.0"
