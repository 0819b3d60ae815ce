"""Limits that the first system states for its lender: smallest credit score, largest debt (percent of income)."""

MINIMUM_SCORE, MOST_DEBT = 640, 43.0
