"""Training: models, what they minimise, and the steps that do it."""
