"""``llmstack call``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from llmstack.cli.command.example import examples
from llmstack.cli.setting import DEFAULT_MODEL, ConfigFile, setting_of


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    epilog = examples(
        'llmstack call "Say hello"',
        "cat letter.txt | llmstack call -s 'Answer this letter.' --stream",
        'llmstack --config prod.toml call --trace -t team=search "Say hello"',
    )
    app.command("call", epilog=epilog)(_call)


def _call(  # noqa: PLR0913 - typer makes a command's options of its parameters
    ctx: typer.Context,
    prompt: Annotated[str, typer.Argument(help="The prompt; - reads it from standard input.")] = "-",
    *,
    model: Annotated[str, typer.Option("--model", "-m", help="The model to ask.")] = DEFAULT_MODEL,
    system: Annotated[str | None, typer.Option("--system", "-s", help="Instructions for the model.")] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Show the answer as it comes.")] = False,
    api: Annotated[Literal["chat", "responses"], typer.Option(help="The API to use.")] = "chat",
    temperature: Annotated[float | None, typer.Option(min=0.0, max=2.0, help="How varied the answer is.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens of the answer at most.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0.001, help="Seconds to wait for each request.")] = None,
    base_url: Annotated[str | None, typer.Option(help="The service; else OPENAI_BASE_URL.")] = None,
    config: ConfigFile = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", "-t", help="label=value, for books and logs.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Show the call's way on stderr.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The whole reply; streamed, each event.")] = False,
) -> None:
    """Make one call through the stack."""
    from llmstack.cli.call import Connection, call
    from llmstack.cli.question import Question, as_text, prompt_text, tags_of

    question = Question(
        prompt=prompt_text(prompt),
        model=as_text("the model", model),
        system=None if system is None else as_text("--system", system),
        stream=stream,
        api=api,
        temperature=temperature,
        max_tokens=max_tokens,
        as_json=as_json,
    )
    connection = Connection(setting_of(ctx).config_file(config), base_url, timeout)
    call(question, connection, tags=tags_of(tag or ()), trace=trace)
