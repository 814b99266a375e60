"""The upkeep of a workspace: upgrade, backup and restore, and clearing up. Its commands stand in `stellwerk.operations`."""
