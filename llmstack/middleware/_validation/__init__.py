"""Details of the Validation plugin."""
