"""What a file says is shown, and commands nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lendsafe import cli
from lendsafe.errors import ConfigError
from lendsafe.terminal import escaped


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x1b]0;PWNED\x07", r"\x1b]0;PWNED\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("a\u202eb", r"a\u202eb"),
        ("a\rb", r"a\rb"),
        ("a\tb\nÄ李", "a\tb\nÄ李"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text, shown):
    assert escaped(text) == shown


@given(st.text())
def test_text_without_commands_is_left_alone_and_the_rest_has_none(text):
    shown = escaped(text)
    assert escaped(shown) == shown
    assert not any(ord(char) < 32 and char not in "\t\n" for char in shown)


def test_an_unknown_key_of_a_file_reaches_the_screen_written_out(capsys):
    with pytest.raises(SystemExit):
        cli._fail(str(ConfigError("unknown key '\x1b[31mred'")), 2)
    assert capsys.readouterr().err == "Error: unknown key '\\x1b[31mred'\n"


def test_a_settings_file_whose_key_commands_the_terminal_ends_in_one_harmless_line(tmp_path, capsys):
    (tmp_path / "config.toml").write_text('"\\u001b[31mred" = 1\n')
    with pytest.raises(SystemExit) as ended:
        cli.main(["plan", "--config", str(tmp_path / "config.toml")])
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert "\x1b" not in told.err + told.out
    assert r"\x1b[31mred" in told.err
