"""The application: our commands, those of the plugins, and what becomes of errors.

Law of this file and of `llmstack.cli.command`: `llmstack --help` and the completion of a command's name shall be quick,
so what imports the SDK is imported inside the commands.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer
from typer.core import TyperGroup

from llmstack.cli.command import call, check, config, demo, explain, new_plugin, plugins, root, usage
from llmstack.cli.failure import is_expected, show_failure
from llmstack.cli.offered import offered
from llmstack.cli.setting import Setting, setting_of


class Commands(TyperGroup):
    """Our commands, then those of the plugins; errors become messages."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands. Without a config there are only ours, and nothing slow is imported."""
        names = super().list_commands(ctx)
        setting = setting_of(ctx)
        if setting.plugins is None and setting.config_file() is None:
            return names
        try:
            return [*names, *(name for name in offered(setting) if name not in names)]
        except Exception as error:
            if not is_expected(error):
                raise
            if not ctx.resilient_parsing:  # a shell that completes a line wants no messages
                show_failure(error, debug=False)
            return names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by name; plugins are asked only for names that are not ours."""
        return super().get_command(ctx, cmd_name) or offered(setting_of(ctx)).get(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if not is_expected(error):
                raise
            show_failure(error, debug=setting_of(ctx).debug)
            raise typer.Exit(1) from None


def build(plugins_given: Iterable[object] | None = None) -> typer.Typer:
    """Make the application.

    Args:
        plugins_given: Plugins whose commands are offered; those of the configured stack if not given.
    """
    app = typer.Typer(
        cls=Commands,
        context_settings={"obj": Setting(plugins_given), "help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
        # Its tracebacks show local variables, and with them keys.
        pretty_exceptions_enable=False,
    )
    app.callback()(root.root)
    for command in (call, demo, usage, plugins, explain, check, config, new_plugin):
        command.add_to(app)
    return app
