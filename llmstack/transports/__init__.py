"""Transports: where the stack ends and the network begins."""

from llmstack.transports.delivery import Delivery, delivery
from llmstack.transports.openai import OpenAITransport

__all__ = ["Delivery", "OpenAITransport", "delivery"]
