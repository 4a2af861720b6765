"""HTTP and TCP: receiving, recording, and sending an answer, well or badly."""

from __future__ import annotations
