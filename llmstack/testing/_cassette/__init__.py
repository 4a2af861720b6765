"""What `llmstack.testing.Cassette` is made of."""
