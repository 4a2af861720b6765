"""Plugins: finding them, registering them, putting them in order."""
