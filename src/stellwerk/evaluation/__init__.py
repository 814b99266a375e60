"""How every job that judges judges: suites of cases, scorers, the engine that asks, statistics, judges and human ratings.

Knows models only as something that answers (`target.py`), and no job. `case.py` has the words.
"""
