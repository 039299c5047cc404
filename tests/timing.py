"""Durations for the few tests that run on the real clock."""

from __future__ import annotations

import os


__all__ = ["MS"]

MS = 0.001 * float(os.environ.get("ASYNCTASKS_TEST_MS", "1"))
"""A millisecond, stretched on slow machines: ASYNCTASKS_TEST_MS is the factor."""
