"""`python -m stellwerk` is the command `stellwerk`."""

from stellwerk.doors.cli import main

main()
