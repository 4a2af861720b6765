"""What `Sentry` is made of."""
