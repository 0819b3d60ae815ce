"""Whether a run fits, and how it is cut, computed before anything is loaded."""
