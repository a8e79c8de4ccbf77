"""``python -m xent.cli``."""

from xent.cli import main

main()
