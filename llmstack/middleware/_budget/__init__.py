"""The parts of Budget."""
