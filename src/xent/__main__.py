"""``python -m xent``."""

from xent.cli import main

main()
