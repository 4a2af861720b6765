"""What the tests of Moderation share: a scripted service that judges by words, and questions to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmstack import Call
from llmstack.events import ContentModerated
from llmstack.testing.scripted import text_body
from tests.core.side import Rig, Side

FLAGGED = "FLAG_ME"
SECRET = "private words"
MODEL = "omni-moderation-latest"


def verdict(text: str, **scores: float) -> dict[str, Any]:
    """A result of the moderation endpoint: violence, if the text says so."""
    flagged = FLAGGED in text
    found = {"violence": 0.98 if flagged else 0.01, "hate": 0.3, **scores}
    return {
        "flagged": flagged,
        "categories": {name: flagged and name == "violence" for name in found},
        "category_scores": found,
        "category_applied_input_types": {name: ["text"] for name in found},
    }


def judged(call: Call, **scores: float) -> dict[str, Any]:
    """The moderation endpoint's answer."""
    given = call.params["input"]
    if isinstance(given[0], str):
        results = [verdict(text, **scores) for text in given]
    else:
        results = [verdict(given[0]["image_url"]["url"], **scores)]
    return {"id": "modr-1", "model": MODEL, "results": results}


def service(answer: Any = "Hello", **scores: float) -> Callable[[Call], Any]:
    """A step for a scripted transport: verdicts for moderations, `answer` for all else."""

    def step(call: Call) -> Any:
        if call.endpoint == "moderations":
            return judged(call, **scores)
        return text_body(call, answer) if isinstance(answer, str) else answer

    return step


def rig_of(side: Side, moderation: Any, answer: Any = "Hello", *more: Any, **scores: float) -> Rig:
    """A client on a scripted service, with this plugin."""
    return side.rig([moderation, *more], default=service(answer, **scores))


def ask(rig: Rig, text: Any = "Say hello", **more: Any) -> Any:
    """One chat call."""
    return rig.client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}], **more)


def sent(rig: Rig) -> list[str]:
    """The endpoints that were asked, in order."""
    return [call.endpoint for call in rig.sent]


def told(rig: Rig) -> list[tuple[str, str, bool, bool]]:
    """The judgements that observers heard of: subject, source, flagged, blocked."""
    return [(e.subject, e.source, e.flagged, e.blocked) for e in rig.recorder.of(ContentModerated)]


class Objects:
    """A checker that objects to a word."""

    def __init__(self, word: str = "forbidden", name: str = "objects") -> None:
        self.word = word
        self.name = name
        self.seen: list[str] = []

    def check(self, text: str) -> Any:
        """Object, if the word is there."""
        from llmstack.middleware.moderation import Verdict

        self.seen.append(text)
        return Verdict(flagged=True, categories=("word",), scores={"word": 0.7}) if self.word in text else None


class ObjectsLater(Objects):
    """The same, but async."""

    async def check(self, text: str) -> Any:
        """Object, after a moment."""
        import anyio.lowlevel

        await anyio.lowlevel.checkpoint()
        return super().check(text)
