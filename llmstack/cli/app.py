"""The application: its commands, those of the plugins, and what becomes of errors.

Law of this file: `llmstack --help` shall be quick, so what imports the SDK is imported inside the commands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from llmstack.cli.failure import UsageError, explained, is_expected, show_failure
from llmstack.cli.terminal import console

DEFAULT_MODEL = "gpt-5-mini"
CONFIG = Path("llmstack.toml")
"""The config file taken from the working directory if none is named."""


@dataclass(slots=True)
class Setting:
    """What holds for every command of one run.

    Attributes:
        plugins: Plugins whose commands are offered instead of those of the configured stack.
        config: The config file named before the command.
        debug: True to show tracebacks.
        commands: The plugins' commands, once they have been asked for.
    """

    plugins: Iterable[object] | None = None
    config: Path | None = None
    debug: bool = False
    commands: dict[str, Any] | None = field(default=None, repr=False)

    def config_file(self, named: Path | None = None) -> Path | None:
        """The config file in force: named for the command, before it, by the environment, or here."""
        environment = os.environ.get("LLMSTACK_CONFIG")
        found = named or self.config or (Path(environment) if environment else None)
        return found or (CONFIG if CONFIG.is_file() else None)


class Commands(TyperGroup):
    """Our commands, then those of the plugins; errors become messages."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands. Without a config there are only ours, and nothing slow is imported."""
        names = super().list_commands(ctx)
        setting = _setting(ctx)
        if setting.plugins is None and setting.config_file() is None:
            return names
        try:
            return [*names, *(name for name in _offered(setting) if name not in names)]
        except Exception as error:
            if not is_expected(error):
                raise
            show_failure(error, debug=False)
            return names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by name; plugins are asked only for names that are not ours."""
        return super().get_command(ctx, cmd_name) or _offered(_setting(ctx)).get(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if not is_expected(error):
                raise
            show_failure(error, debug=_setting(ctx).debug)
            raise typer.Exit(1) from None


def build(plugins: Iterable[object] | None = None) -> typer.Typer:
    """Make the application.

    Args:
        plugins: Plugins whose commands are offered; those of the configured stack if not given.
    """
    app = typer.Typer(
        cls=Commands,
        context_settings={"obj": Setting(plugins), "help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
        add_completion=False,
        # Its tracebacks show local variables, and with them keys.
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    app.command("call")(_call)
    app.command("demo")(_demo)
    app.command("usage")(_usage)
    return app


def _setting(ctx: Any) -> Setting:
    setting: Setting = ctx.find_root().obj
    setting.config = ctx.find_root().params.get("config") or setting.config
    setting.debug = ctx.find_root().params.get("debug", False) or setting.debug
    return setting


def _offered(setting: Setting) -> dict[str, Any]:
    """The commands that plugins add; of two with one name the outer plugin's."""
    if setting.commands is not None:
        return setting.commands
    found: dict[str, Any] = {}
    for plugin in _plugins(setting):
        hook = getattr(plugin, "llmstack_commands", None)
        if hook is None:
            continue
        # Each gets an application of its own, so that none can change ours.
        offered = typer.Typer()
        try:
            hook(offered)
            commands: dict[str, Any] = dict(typer.main.get_group(offered).commands)
        except Exception as error:  # noqa: BLE001 - a broken plugin must not take the other commands away
            name = getattr(plugin, "name", type(plugin).__name__)
            text = explained(UsageError(f"plugin {name!r} could not add its commands: {type(error).__name__}: {error}"))
            console(stderr=True).print(text, style="yellow")
            continue
        found = {**commands, **found}
    setting.commands = found
    return found


def _plugins(setting: Setting) -> Iterable[object]:
    if setting.plugins is not None:
        return setting.plugins
    from llmstack.stack import Stack

    file = setting.config_file()
    stack = Stack.default() if file is None else Stack.from_config(file)
    return stack.plugins.values()


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer passes it so
    if not value:
        return
    from importlib.metadata import version

    python = ".".join(map(str, sys.version_info[:3]))
    typer.echo(f"llmstack {version('llmstack-openai')} (openai {version('openai')}, Python {python})")
    raise typer.Exit


def _root(
    config: Annotated[
        Path | None,
        # Eager, so that the help shows the commands of its plugins.
        typer.Option(is_eager=True, help="Config file of the stack; else LLMSTACK_CONFIG, else ./llmstack.toml."),
    ] = None,
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the versions.")
    ] = False,
) -> None:
    """A plugin-based middleware stack around the OpenAI SDK."""


def _demo(
    *,
    live: Annotated[bool, typer.Option("--live", help="Ask the real service (needs OPENAI_API_KEY).")] = False,
    model: Annotated[str, typer.Option("--model", "-m", help="The model to ask.")] = DEFAULT_MODEL,
) -> None:
    """See it work: a local server that misbehaves, and a program that does not notice."""
    from llmstack.cli.demo import demo

    if not demo(live=live, model=model):
        raise typer.Exit(1)


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
    config: Annotated[Path | None, typer.Option(help="Config file of the stack.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", "-t", help="label=value, for books and logs.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Show the call's way on stderr.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The whole reply; streamed, each event.")] = False,
) -> None:
    """Make one call through the stack."""
    from llmstack.cli.call import Connection, call
    from llmstack.cli.question import Question, prompt_text, tags_of

    setting = _setting(ctx)
    question = Question(
        prompt=prompt_text(prompt),
        model=model,
        system=system,
        stream=stream,
        api=api,
        temperature=temperature,
        max_tokens=max_tokens,
        as_json=as_json,
    )
    connection = Connection(setting.config_file(config), base_url, timeout)
    call(question, connection, tags=tags_of(tag or ()), trace=trace)


def _usage(  # noqa: PLR0913 - typer makes a command's options of its parameters
    ctx: typer.Context,
    *,
    store: Annotated[str | None, typer.Option(help="URL of the ledger; else that of the config's [budget].")] = None,
    since: Annotated[str, typer.Option(help="24h, 7d, 4w; today, month, year, all; 2026-11-01.")] = "30d",
    until: Annotated[str | None, typer.Option(help="The same; not included. Now, if not given.")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", "-b", help="model, tenant, day, endpoint, host, outcome, or a tag; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with charts to this file.")] = None,
    config: Annotated[Path | None, typer.Option(help="Config file of the stack.")] = None,
) -> None:
    """Show what was spent."""
    if as_json + as_csv + (html is not None) > 1:
        raise UsageError("choose one of --json, --csv and --html")
    from llmstack.cli.usage import Asked, ledger_of, usage

    setting = _setting(ctx)
    setting.config = config or setting.config
    ledger = ledger_of(store, () if store is not None else tuple(_plugins(setting)))
    form = "json" if as_json else "csv" if as_csv else "tables"
    try:
        usage(ledger, Asked(since, until, by or (), form, html))
    finally:
        ledger.close()
