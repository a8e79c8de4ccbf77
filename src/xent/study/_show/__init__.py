"""What is shown of a study: on the terminal, in a notebook, as a page."""
