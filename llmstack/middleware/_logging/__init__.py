"""What `Logging` is made of."""
