"""Training data: applicants drawn from a process, narratives from a grammar, examples from files."""
