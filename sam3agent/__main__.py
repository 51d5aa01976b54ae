"""`python -m sam3agent`, the same as the command `sam3agent`."""

from sam3agent.cli import main

main()
