"""One program, played with the SDK's client and with ours against servers alike, and everything it saw written down.

A program is a generator: what it yields is a call's outcome (awaited if the client is async), `Items` of something
iterated, an `Attempt` that may fail, or a block `Within` a context manager; it gets the value back. So each program is
written once for both.
"""

# ruff: noqa: SLF001 -- what is equal inside is compared too

from __future__ import annotations

import datetime as dt
import inspect
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx2
import openai
import pydantic
from openai import APIError, AsyncStream, Stream

from llmstack.testing import LocalServer

KEY = "sk-test-not-a-key"

Program: TypeAlias = Callable[[Any], Generator[Any, Any, Any]]


@dataclass(frozen=True)
class Items:
    """Everything that iterating gives."""

    source: Any


@dataclass(frozen=True)
class Attempt:
    """A call that may fail: its error is a value like any other, and the program goes on."""

    call: Callable[[], Any]


@dataclass(frozen=True)
class Within:
    """A program played inside a context manager, sync or async."""

    manager: Any
    body: Program


@dataclass
class Outcome:
    """What a program saw, step by step, and what went over the wire."""

    steps: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)
    received: list[Any] = field(default_factory=list)

    def note(self, value: Any) -> None:
        """One more step."""
        self.steps.append(shape(value))
        self.values.append(value)


# Playing ------------------------------------------------------------------------------------------------------------


def play(flow: Generator[Any, Any, Any], outcome: Outcome) -> None:
    """Play a program with a sync client."""
    value: Any = None
    while True:
        try:
            step = flow.send(value)
        except StopIteration:
            return
        value = None
        if isinstance(step, Within):
            with step.manager as entered:
                play(step.body(entered), outcome)
            continue
        try:
            value = step.call() if isinstance(step, Attempt) else step
            if isinstance(value, Items):
                value = list(value.source)
        except Exception as error:
            if not isinstance(step, Attempt):
                raise
            value = error
        outcome.note(value)


async def aplay(flow: Generator[Any, Any, Any], outcome: Outcome) -> None:
    """Play a program with an async client."""
    value: Any = None
    while True:
        try:
            step = flow.send(value)
        except StopIteration:
            return
        value = None
        if isinstance(step, Within):
            async with step.manager as entered:
                await aplay(step.body(entered), outcome)
            continue
        try:
            value = step.call() if isinstance(step, Attempt) else step
            if isinstance(value, Items):
                value = [item async for item in value.source]
            elif inspect.isawaitable(value):
                value = await value
        except Exception as error:
            if not isinstance(step, Attempt):
                raise
            value = error
        outcome.note(value)


def client_options(server: LocalServer, *, azure: bool, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a client that talks to the server."""
    if azure:
        where = {"azure_endpoint": server.azure_endpoint, "api_version": "2024-10-21"}
    else:
        where = {"base_url": server.base_url}
    return {"api_key": KEY, "max_retries": 0, **where, **given}


def observe(kind: type, server: LocalServer, program: Program, *, azure: bool = False, **given: Any) -> Outcome:
    """Play a program with a fresh sync client of this kind."""
    outcome = Outcome()
    with kind(**client_options(server, azure=azure, given=given)) as client:
        client._client.event_hooks["request"].append(lambda request: outcome.requests.append(head(request)))
        try:
            play(program(client), outcome)
        except Exception as error:  # noqa: BLE001 - how it ended
            outcome.note(error)
    outcome.received = [received(request) for request in server.requests]
    return outcome


async def aobserve(kind: type, server: LocalServer, program: Program, *, azure: bool = False, **given: Any) -> Outcome:
    """Play a program with a fresh async client of this kind."""
    outcome = Outcome()

    async def hook(request: httpx2.Request) -> None:
        outcome.requests.append(head(request))

    async with kind(**client_options(server, azure=azure, given=given)) as client:
        client._client.event_hooks["request"].append(hook)
        try:
            await aplay(program(client), outcome)
        except Exception as error:  # noqa: BLE001 - how it ended
            outcome.note(error)
    outcome.received = [received(request) for request in server.requests]
    return outcome


# The wire -----------------------------------------------------------------------------------------------------------

_BOUNDARY = re.compile(rb"boundary=([0-9a-f]{32})")


def head(request: httpx2.Request) -> Any:
    """A request's line and headers, in order; only the port and a form's random boundary are made alike."""
    headers = [
        (name, _BOUNDARY.sub(b"boundary=*", value)) for name, value in request.headers.raw if name.lower() != b"host"
    ]
    return (request.method, request.url.raw_path, headers, request.extensions.get("timeout"))


def received(request: Any) -> Any:
    """A request as the server got it."""
    headers = {name: value for name, value in request.headers.items() if name != "host"}
    body = request.body
    found = _BOUNDARY.search(headers.get("content-type", "").encode())
    if found:
        body = body.replace(found[1], b"*")
        headers["content-type"] = "multipart/form-data; boundary=*"
    return (request.method, request.path, dict(request.query), list(headers.items()), body)


# What a program can see of a value ----------------------------------------------------------------------------------


def shape(value: Any) -> Any:
    """All that a program can see of a value, in plain types."""
    if value is None or isinstance(value, (str, int, float, bytes)):
        return value
    if isinstance(value, dt.timedelta):
        return "a duration"
    if isinstance(value, Mapping):
        return {str(name): shape(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shape(item) for item in value]
    for kind, view in _VIEWS:
        if isinstance(value, kind):
            return {"type": type_name(value), **view(value)}
    return {"type": type_name(value)}


def type_name(value: Any) -> str:
    """The SDK's class of a value: ours are subclasses of it."""
    kind = next(kind for kind in type(value).__mro__ if not kind.__module__.startswith("llmstack"))
    return f"{kind.__module__}.{kind.__qualname__}"


def _model(value: pydantic.BaseModel) -> dict[str, Any]:
    return {
        "fields": {name: shape(item) for name, item in value.__dict__.items()},
        "extra": shape(value.__pydantic_extra__),
        "set": sorted(value.model_fields_set),
        "request id": getattr(value, "_request_id", None),
        "as dict": shape(value.to_dict()) if isinstance(value, openai.BaseModel) else None,
    }


def _response(value: httpx2.Response) -> dict[str, Any]:
    seen = {
        "status": value.status_code,
        "headers": [(name, text) for name, text in value.headers.raw if name.lower() != b"date"],
        "closed": value.is_closed,
        "version": value.http_version,
        "request": head(value.request)[:3],
        "history": [shape(before) for before in value.history],
        "encoding": value.encoding,
    }
    if value.is_closed:
        seen["elapsed"] = type(value.elapsed).__name__
    if value.is_stream_consumed and hasattr(value, "_content"):
        seen["content"] = value.content
    return seen


def _error(error: BaseException) -> dict[str, Any]:
    seen: dict[str, Any] = {"message": str(error), "cause": type(error.__cause__).__name__}
    if isinstance(error, APIError):
        names = ("code", "param", "type", "body", "status_code", "request_id")
        seen |= {f"its {name}": shape(getattr(error, name, None)) for name in names}
        seen["request"] = head(error.request)[:3]
        seen["response"] = shape(getattr(error, "response", None))
    return seen


def _raw(value: Any) -> dict[str, Any]:
    names = ("status_code", "request_id", "retries_taken", "method", "http_version", "is_closed")
    return {**{name: getattr(value, name) for name in names}, "response": _response(value.http_response)}


def _stream(value: Any) -> dict[str, Any]:
    return {"response": _response(value.response)}


_VIEWS: tuple[tuple[Any, Callable[[Any], dict[str, Any]]], ...] = (
    (pydantic.BaseModel, _model),
    (httpx2.Response, _response),
    (BaseException, _error),
    ((Stream, AsyncStream), _stream),
    (openai._legacy_response.HttpxBinaryResponseContent, lambda value: _response(value.response)),
    ((openai._legacy_response.LegacyAPIResponse, openai._response.BaseAPIResponse), _raw),
)


# Comparing ----------------------------------------------------------------------------------------------------------


def assert_same(ours: Outcome, theirs: Outcome) -> None:
    """Fail at the first difference."""
    assert ours.requests == theirs.requests
    assert ours.received == theirs.received
    assert len(ours.steps) == len(theirs.steps)
    for i, (our_step, their_step) in enumerate(zip(ours.steps, theirs.steps, strict=True)):
        assert our_step == their_step, f"step {i}"
    for our_value, their_value in zip(ours.values, theirs.values, strict=True):
        # A page holds its client, so two pages are never equal; that of models was compared above.
        if isinstance(their_value, openai.BaseModel) and not hasattr(their_value, "_get_page_items"):
            assert type(our_value) is type(their_value)
            assert our_value == their_value
