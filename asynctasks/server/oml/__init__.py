"""Oracle Machine Learning: scripts in the database, their jobs and tables."""

from __future__ import annotations
