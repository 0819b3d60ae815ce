"""Options generated from settings dataclasses: one field is default, help, flag and TOML key."""

import types
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import click

from lendsafe.errors import ConfigError
from lendsafe.fields import build, problems, read_toml

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])


def settings_options(kind: type[Any]) -> Callable[[Command], Command]:
    """Declare one option per field of a settings dataclass (``learning_rate`` is ``--learning-rate``)."""
    hints = get_type_hints(kind)

    def decorate(command: Command) -> Command:
        for f in reversed(fields(kind)):
            if not f.metadata.get("help"):
                continue
            flag, hint = f.name.replace("_", "-"), hints[f.name]
            text = f.metadata["help"]
            if f.default not in (None, MISSING):
                shown = ",".join(map(str, f.default)) if isinstance(f.default, tuple) else f.default
                text += f"  [default: {shown}]"
            if hint is bool:
                option = click.option(f"--{flag}/--no-{flag}", f.name, default=None, help=text)
            else:
                option = click.option(f"--{flag}", f.name, type=_click_type(hint), default=None, help=text)
            command = option(command)
        return command

    return decorate


def config_option(command: Command) -> Command:
    """Declare ``--config FILE.toml``: settings that flags override."""
    return click.option(
        "--config",
        "config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="TOML file of settings; flags win over it.",
    )(command)


def settings(
    kind: type[T], given: dict[str, Any], config: Path | None = None, defaults: dict[str, Any] | None = None
) -> T:
    """Build a settings dataclass: flag over TOML file over ``defaults`` over the field's own default.

    Args:
        kind: Settings dataclass.
        given: Values of the flags; ``None`` means not given. Fields of ``kind`` are taken out.
        config: TOML file whose top-level keys are fields of ``kind``.
        defaults: Defaults of this use, such as a model's own recipe.

    Raises:
        ConfigError: Naming every unknown, mistyped or out-of-range setting.
    """
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    flags = {name: given.pop(name) for name in list(given) if name in names}
    table = read_toml(config) if config else {}
    if found := problems(kind, table):
        wrong = [str(one) for one in found if not one.missing]
        if wrong:
            raise ConfigError(f"{config}: " + "; ".join(wrong))
    table = (defaults or {}) | table | {name: value for name, value in flags.items() if value is not None}
    return build(kind, table)


def _click_type(hint: Any) -> Any:
    origin = get_origin(hint)
    if origin is Literal:
        return click.Choice([str(one) for one in get_args(hint)])
    if origin in (Union, types.UnionType):
        inner = [one for one in get_args(hint) if one is not type(None)]
        return _click_type(inner[0])
    if origin is tuple:
        return _Names()
    if hint is Path:
        return click.Path(path_type=Path)
    return hint


class _Names(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.2
    """Names separated by commas."""

    name = "NAME,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ARG002  # click's interface
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )
