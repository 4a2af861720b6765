"""What `llmstack.testing.Conformance` is made of."""
