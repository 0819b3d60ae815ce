"""Is a text true of its assessment, and how close is it to a reference? No model is needed.

``checks`` runs on every narrative, live and offline; ``metrics`` and ``overlap`` score many;
``leakage`` compares them with the training rows; ``report`` shows the result.
"""
