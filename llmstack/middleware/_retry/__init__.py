"""What `Retry` is made of."""
