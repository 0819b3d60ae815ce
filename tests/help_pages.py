"""Help pages of every verb, kept in ``tests/golden/help`` so that a new flag shows in review.

Written anew by: python tests/help_pages.py
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from lendsafe.cli import group

FOLDER = Path(__file__).parent / "golden" / "help"
WIDTH = 100


def commands(
    command: click.Command = group, path: tuple[str, ...] = ("lendsafe",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its words, groups before their members."""
    yield path, command
    if isinstance(command, click.Group):
        with click.Context(command, info_name=path[-1]) as context:
            for name in command.list_commands(context):
                member = command.get_command(context, name)
                assert member is not None
                yield from commands(member, (*path, name))


def pages() -> dict[str, str]:
    """File name to help page."""
    found = {}
    for path, command in commands():
        with click.Context(
            command,
            info_name=" ".join(path),
            terminal_width=WIDTH,
            help_option_names=["-h", "--help"],
        ) as context:
            found["-".join(path[1:] or path) + ".txt"] = command.get_help(context) + "\n"
    return found


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    now = pages()
    for name, page in now.items():
        (FOLDER / name).write_text(page)
    for old in FOLDER.glob("*.txt"):
        if old.name not in now:
            old.unlink()
    sys.stdout.write(f"{FOLDER}: {len(now)} pages\n")
