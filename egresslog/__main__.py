"""``python -m egresslog``."""

from egresslog.cli import main

main()
