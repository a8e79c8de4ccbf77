"""Runs: trials as tasks, and the folder that keeps what is finished."""
