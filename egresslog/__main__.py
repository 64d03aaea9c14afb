"""``python -m egresslog``."""

from egresslog.cli.app import main

main()
