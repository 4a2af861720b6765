"""Drivers: they perform what the sans-IO core asks for, one in sync programs, one in async ones."""
