"""What `Moderation` is made of."""
