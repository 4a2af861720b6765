"""Transports: where the stack ends and the network begins."""

from llmstack.transports.openai import OpenAITransport

__all__ = ["OpenAITransport"]
