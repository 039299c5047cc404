"""DESP User Workflow Processing (Insula): processors, jobs and their files."""

from __future__ import annotations
