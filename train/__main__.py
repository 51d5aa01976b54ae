"""`python -m train experiment=playground_tiny [key=value …]`."""

import sys

from train.app import main

sys.exit(main(sys.argv[1:]))
