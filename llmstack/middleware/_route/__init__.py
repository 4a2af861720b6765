"""What `Route` is made of."""
