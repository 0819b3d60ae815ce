"""The command line: parse, call one function, print. One module per verb, imported when used.

Results go to stdout, progress and logs to stderr. A user's mistake ends in one line.
"""

import importlib.util
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from lendsafe import __version__
from lendsafe.errors import EXIT_CODES, DiskError, LendSafeError
from lendsafe.fields import did_you_mean
from lendsafe.terminal import escaped

# verb -> help line; the command of verb "x-y" is `command` in lendsafe/cli/x_y.py
VERBS = {
    "demo": "Run the whole flow on granite-tiny, offline.",
    "doctor": "Report machine, back end, versions, and what is missing or slow.",
    "product": "Draft and check what a lender's fields and reasons are.",
    "data": "Make, import and check data.",
    "risk": "Train, score, explain and report the risk model.",
    "plan": "Predict memory and time of a run, and what would fit.",
    "train": "Fine-tune a model with LoRA.",
    "eval": "Generate and score held-out explanations.",
    "explain": "Explain one application; write the letter.",
    "record": "Check, search, hand out and clear the record.",
    "law": "Look up, search and compare the regulations, dated and offline.",
    "export": "Write adapters and merged models that other tools load.",
    "import-adapter": "Turn a PEFT or mlx-lm adapter into a run.",
}


class Verbs(click.Group):
    """A group that imports a verb's module only when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's interface
        """Every verb that is built, in the order of the flow."""
        return [verb for verb in VERBS if importlib.util.find_spec(_module(verb))]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the verb's module and return its command."""
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(_module(name)).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; a misspelt one is answered with the nearest."""
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            raise click.UsageError(f"No such command '{args[0]}'.{did_you_mean(args[0], list(VERBS))}", ctx)
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Say what the exit codes mean."""
        with formatter.section("Exit codes"):
            formatter.write_text("; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs from the table above, without importing them."""
        if verbs := self.list_commands(ctx):
            with formatter.section("Commands"):
                formatter.write_dl([(verb, VERBS[verb]) for verb in verbs])


def _module(verb: str) -> str:
    return f"lendsafe.cli.{verb.replace('-', '_')}"


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lendsafe")
def group() -> None:
    """True, specific explanations of lending decisions, on your own machine."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    stdout = sys.stdout
    try:
        code = group.main(args=arguments, prog_name="lendsafe", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except LendSafeError as error:
        _fail(str(error), error.exit_code)
    except click.UsageError as error:
        _usage(error)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _fail("Interrupted.", 130)
    except SystemExit as ending:
        # click ends in 1, quietly, when whoever read our output has gone; the shell's own word for that is 141
        sys.exit(141 if sys.stdout is not stdout else ending.code)
    except OSError as error:  # a path that could not even be looked at
        if not error.filename:
            raise
        _fail(f"{error.filename}: {error.strerror}.", DiskError.exit_code)


def _usage(error: click.UsageError) -> NoReturn:
    """One line, and where to look; a bare group shows its help instead."""
    if type(error).__name__ == "NoArgsIsHelpError":  # click 8.2 and later
        error.show()
        sys.exit(error.exit_code)
    message = " ".join(error.format_message().split())
    see = f" See '{error.ctx.command_path} --help'." if error.ctx else ""
    _fail(f"{message}{see}", error.exit_code)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"Error: {escaped(message)}", err=True)
    sys.exit(code)
