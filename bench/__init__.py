"""What the work costs: time and memory, measured beside what a user would run instead."""
