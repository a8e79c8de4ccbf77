"""Reads a program as if it ran it: what its tensors mean, from the layer to the loss."""
