"""AI systems and whether they may run: what a system binds, the signals of its gates, who decided what, and releases.

A file `systems/NAME.yaml` says what an AI system is for, what it binds and which gates it has to pass. Everything else is read
from the record: the versions, what they descend from, what was measured on just them, and the decisions of named persons.
"""
