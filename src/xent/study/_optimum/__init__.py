"""The fit of greatest likelihood, and what stands in its way."""
