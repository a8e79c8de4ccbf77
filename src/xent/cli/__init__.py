"""The command line. Each command is a file of its own and loads when it is called.

Exit codes: 0 fine; 1 a finding of level error (such as a diverged seed); 2 bad input or usage;
130 interrupted; 70 a fault of xent's own.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import click

import xent
from xent._errors import XentError

BAD_INPUT, INTERNAL, INTERRUPTED = 2, 70, 130

_COMMANDS = {
    "check": ("xent.cli._check", "Find losses that are given the wrong thing, in code."),
    "compare": ("xent.cli._compare", "Train one model under several losses and compare them."),
    "demo": ("xent.cli._demo", "The BCE-versus-CE study, run again and scored right."),
    "explain": ("xent.cli._explain", "A loss on your own numbers, step by step."),
    "rule": ("xent.cli._rule", "What a rule of xent check looks for, and why."),
    "report": ("xent.cli._report", "The report of a run, made again from its folder."),
    "verify": ("xent.cli._verify", "A loss by every implementation on the same numbers."),
    "which": ("xent.cli._which", "The right loss for a task, a last layer and a target."),
}


class _LazyGroup(click.Group):
    """Knows its commands by name and one line; imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(_COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    xent.__version__,
    message="xent %(version)s, "
    + ("with" if find_spec("xent._native") else "without")
    + " the native extension",
)
def group() -> None:
    """Cross-entropy for PyTorch, done right.

    Exit codes: 0 fine, 1 a finding of level error, 2 bad input, 130 interrupted.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every error is one line, never a traceback.

    With XENT_TRACEBACK=1 in the environment the traceback is shown all the same.
    """
    # What the user names as package.module:name is mostly a file beside the data; at the end of
    # the path it can't stand in for anything that is installed.
    sys.path.append(str(Path.cwd()))
    try:
        code = group(arguments, prog_name="xent", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(BAD_INPUT)
    except click.ClickException as error:
        _fail(_describe(error), error.exit_code)
    except XentError as error:
        _fail(str(error), BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        _fail(f"{type(error).__name__}: {error} (XENT_TRACEBACK=1 shows where)", INTERNAL)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    if os.environ.get("XENT_TRACEBACK"):
        traceback.print_exc()
    click.echo(f"Error: {' '.join(message.split())}", err=True)
    sys.exit(code)


def _describe(error: click.ClickException) -> str:
    """What is wrong with the usage, and where the right usage is written."""
    command = (
        error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "xent"
    )
    return f"{error.format_message()} Try: {command} --help"
