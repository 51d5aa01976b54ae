"""`python -m train experiment=playground_tiny [key=value …]`."""

import sys

try:
    from train.app import main
except ModuleNotFoundError as missing:
    print(f"train: {missing.name} is not installed: pip install -e '.[train]'", file=sys.stderr)
    sys.exit(2)

sys.exit(main(sys.argv[1:]))
