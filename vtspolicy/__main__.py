"""`python -m vtspolicy` is the installed command."""

from vtspolicy.cli import main

main()
