"""How an AI system stands: what it binds, what gates ask of it, and what the record proves of it; grants no release.

A file `systems/NAME.yaml` says what it is for, what it binds and which gates it has to pass. Everything else is read from the
record: the versions, what they descend from, what was measured on just them, and the decisions of named persons.
"""
