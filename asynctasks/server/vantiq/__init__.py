"""Vantiq: types, procedures, sources and documents, over REST and WebSockets."""

from __future__ import annotations
