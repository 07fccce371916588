"""`python -m embrow`: the command line."""

from embrow.cli import main

main()
