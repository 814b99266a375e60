"""Findings: what checks found wrong or risky, who looks after it, and what became of it.

A finding itself is never changed. Its status is that of the latest decision about it, by a named person and with a reason; one
that was accepted until a date is open again after it. Details say where and how many, never a personal value.
"""
