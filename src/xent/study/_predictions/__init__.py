"""Predictions that were made elsewhere, compared by the same tests."""
