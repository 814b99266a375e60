"""Suites of cases: what a person writes in `suites/NAME.yaml`, and the version that comes of it."""

from __future__ import annotations

from stellwerk.evaluation.suites.spec import FOLDER, SuiteSpec, read

__all__ = ["FOLDER", "SuiteSpec", "read"]
