"""Entry point of `python -m evals`."""

import sys

from evals.command import main

sys.exit(main(sys.argv[1:]))
