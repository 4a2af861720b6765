"""The parts of the store in memory."""
