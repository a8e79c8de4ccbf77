"""The data of a study: sources, columns, roles, splits, encoding."""
