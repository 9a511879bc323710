"""``python -m evaladapt`` is the command ``evaladapt``."""

from evaladapt.cli.main import main

main()
