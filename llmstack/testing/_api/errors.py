"""Error bodies as the OpenAI API and Azure write them."""

from __future__ import annotations

from llmstack.testing._api.answer import Json, JsonAnswer

# status -> (type, code, message)
_BY_STATUS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "Invalid request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("request_forbidden", "unsupported_country_region_territory", "Country, region, or territory not supported"),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    408: ("server_error", "request_timeout", "Request timed out."),
    409: ("invalid_request_error", "conflict", "The resource was changed by another request."),
    413: ("invalid_request_error", "request_too_large", "Request too large."),
    422: ("invalid_request_error", None, "The request was well-formed but could not be processed."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests. Please try again in 1s."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    502: ("server_error", None, "Bad gateway."),
    503: ("service_unavailable_error", None, "The server is currently overloaded. Please try again later."),
    504: ("server_error", None, "Gateway timeout."),
    529: ("overloaded_error", "overloaded", "The engine is currently overloaded, please try again later."),
}

# code -> (type, param, message), where the code says more than the status
_BY_CODE: dict[str, tuple[str, str | None, str]] = {
    "insufficient_quota": (
        "insufficient_quota",
        None,
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "billing_hard_limit_reached": ("invalid_request_error", None, "Billing hard limit has been reached."),
    "rate_limit_exceeded": ("tokens", None, "Rate limit reached for tokens per min (TPM). Please try again in 6ms."),
    "context_length_exceeded": (
        "invalid_request_error",
        "messages",
        "This model's maximum context length is 128000 tokens. Please reduce the length of the messages.",
    ),
    "content_policy_violation": (
        "invalid_request_error",
        None,
        "Your request was rejected as a result of our safety system.",
    ),
    "DeploymentNotFound": (
        "invalid_request_error",
        None,
        "The API deployment for this resource does not exist.",
    ),
}


class ApiError(Exception):
    """An endpoint's refusal; it becomes the answer `error_answer` makes of it.

    Args:
        status: The HTTP status.
        message: ``error.message``; left out, the usual one of the status or the code.
        code: ``error.code``, the same.
        param: ``error.param``.
        body: A whole body instead.
    """

    def __init__(
        self,
        status: int,
        message: str | None = None,
        *,
        code: str | None = None,
        param: str | None = None,
        body: Json | None = None,
    ) -> None:
        super().__init__(message or f"status {status}")
        self.status = status
        self.body = body if body is not None else error_body(status, message=message, code=code, param=param)


def error_answer(error: ApiError) -> JsonAnswer:
    return JsonAnswer(error.body, status=error.status)


def error_body(status: int, *, message: str | None = None, code: str | None = None, param: str | None = None) -> Json:
    """The body OpenAI sends with ``status``, or the one that goes with ``code``.

    ``content_filter`` gives Azure's refusal of a prompt, with its ``innererror``.
    """
    if code == "content_filter":
        return _content_filter_body(message)
    kind, usual_code, usual_message = _BY_STATUS.get(status, ("invalid_request_error", None, f"Status {status}."))
    if code in _BY_CODE:
        kind, usual_param, usual_message = _BY_CODE[code]
        param = param or usual_param
    return {
        "error": {
            "message": message or usual_message,
            "type": kind,
            "param": param,
            "code": code or (usual_code if message is None else None),
        }
    }


def model_not_found(model: str) -> ApiError:
    return ApiError(404, f"The model `{model}` does not exist or you do not have access to it.", code="model_not_found")


def unknown_url(method: str, path: str) -> ApiError:
    return ApiError(404, f"Invalid URL ({method} {path})")


def azure_error(status: int, code: str, message: str) -> ApiError:
    """Azure's gateway answers with two fields only."""
    return ApiError(status, message, body={"error": {"code": code, "message": message}})


def _content_filter_body(message: str | None) -> Json:
    safe = {"filtered": False, "severity": "safe"}
    return {
        "error": {
            "message": message
            or "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": {
                    "hate": safe,
                    "jailbreak": {"filtered": False, "detected": False},
                    "self_harm": safe,
                    "sexual": safe,
                    "violence": {"filtered": True, "severity": "medium"},
                },
            },
        }
    }
