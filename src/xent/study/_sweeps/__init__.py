"""Sweeps: a grid of studies with one ledger."""
