"""Default probability, score, decision and true, ranked reasons: XGBoost under a lending policy."""
