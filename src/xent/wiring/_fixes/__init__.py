"""Repairs: what to change in the code, and how a file is changed."""
