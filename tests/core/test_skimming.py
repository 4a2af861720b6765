"""Chunk filters that can tell from a chunk's text what becomes of it: chunks are parsed only if they must be."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from llmstack.errors import PluginError
from tests.core.filters import Each, filtering
from tests.core.side import PREAMBLE, Side, chunk, event_error, spoken, texts


class Skims(Each):
    """In capitals, by the text where there is a plain "a" in it."""

    def __init__(self, seen: list[str], answer: Any = None) -> None:
        super().__init__(str.upper)
        self.seen, self.answer = seen, answer

    def skim(self, data: str) -> Any:
        self.seen.append(data)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or (data.replace('"a"', '"A"') if '"a"' in data else None)

    def feed(self, c: Any) -> list[Any]:
        self.seen.append("fed")
        return super().feed(c)


async def read(side: Side, rig: Any) -> str:
    return texts(await side.read(await side.do(rig.create(stream=True))))


def test_what_a_filter_tells_from_the_text_is_not_parsed(side: Side) -> None:
    """The others are fed, in their order."""
    seen: list[str] = []
    rig = side.rig([filtering(lambda _: Skims(seen))], [spoken("a", "b", "a", "a")])
    assert side.run(lambda: read(side, rig)) == "ABAA"
    assert rig.witness.reply.text == "abaa"
    assert [what if what == "fed" else '"a"' in what for what in seen] == [
        False, "fed", True, False, "fed", True, True, False, "fed",
    ]  # fmt: skip


def test_text_passes_all_filters_the_inner_ones_first(side: Side) -> None:
    """Each gets what the one before it made; if one cannot tell, all get the chunk."""
    inner, outer = list[str](), list[str]()
    layers = [filtering(lambda _: Skims(outer)), filtering(lambda _: Skims(inner))]
    rig = side.rig(layers, [spoken("a")])
    assert side.run(lambda: read(side, rig)) == "A"
    assert len([what for what in inner if '"a"' in what]) == len([what for what in outer if '"A"' in what]) == 1
    assert inner.count("fed") == outer.count("fed") == 3  # one cannot tell, and then both are


def test_a_filter_that_needs_the_chunks_spares_the_others_the_text(side: Side) -> None:
    """They are parsed anyhow."""
    seen: list[str] = []
    layers = [filtering(lambda _: Each(lambda text: f"({text})")), filtering(lambda _: Skims(seen))]
    rig = side.rig(layers, [spoken("a", "b")])
    assert side.run(lambda: read(side, rig)) == "(A)(B)"
    assert set(seen) == {"fed"}


def test_what_may_be_an_error_is_not_skimmed(side: Side) -> None:
    """Errors are nobody's chunks."""
    seen: list[str] = []
    rig = side.rig([filtering(lambda _: Skims(seen))], [[PREAMBLE, chunk("a"), event_error("lost")]])

    async def program() -> Any:
        return await side.read_until(openai.APIError, await side.do(rig.create(stream=True)))

    side.run(program)
    assert not any("lost" in what for what in seen)


@pytest.mark.parametrize(
    ("answer", "said"),
    [(KeyError("x"), "failed with KeyError"), (["a"], "skim returned list instead of a text or None")],
)
def test_one_that_fails_is_named(side: Side, answer: Any, said: str) -> None:
    """As for any other method of a filter."""
    rig = side.rig([filtering(lambda _: Skims([], answer))], [spoken("a")])

    async def program() -> Any:
        return await side.read_until(PluginError, await side.do(rig.create(stream=True)))

    _, raised = side.run(program)
    assert raised.plugin == "layer"
    assert said in str(raised)
