"""The built-in middleware: ordinary plugins, which use nothing that a third party could not."""

from __future__ import annotations

from llmstack.middleware.budget import Budget
from llmstack.middleware.cache import Cache
from llmstack.middleware.logging import Logging
from llmstack.middleware.moderation import Moderation
from llmstack.middleware.retry import CircuitBreaker, Retry, RetryBudget
from llmstack.middleware.route import Route, Rule, Target
from llmstack.middleware.sentry import Sentry
from llmstack.middleware.validation import Validation

__all__ = [
    "Budget",
    "Cache",
    "CircuitBreaker",
    "Logging",
    "Moderation",
    "Retry",
    "RetryBudget",
    "Route",
    "Rule",
    "Sentry",
    "Target",
    "Validation",
]
