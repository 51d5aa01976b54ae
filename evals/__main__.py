"""`python -m evals NAME --root DIR …`, `python -m evals list`, `python -m evals report DIR…`."""

import sys

from evals.app import main

sys.exit(main(sys.argv[1:]))
