"""The API itself, without HTTP: a request in, an answer out, no I/O and no clock."""

from __future__ import annotations
