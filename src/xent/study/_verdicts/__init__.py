"""Verdicts: which test answers which question, and what its answer is in words."""
