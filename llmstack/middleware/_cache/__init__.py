"""The parts of `llmstack.middleware.cache`."""
