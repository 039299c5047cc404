"""AIMMS PRO: tasks of two versions of its API, local and cloud."""

from __future__ import annotations
