"""Write files so that a crash leaves either the old content or the new, never a mixture.

Also the one place that turns an ``OSError`` into a message with path, reason and space.
"""

import errno
import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lendsafe.errors import DiskError, ExistsError

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@contextmanager
def disk_errors(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turn any ``OSError`` inside the block into a :class:`DiskError` that names ``path``.

    Args:
        path: What was being read or written.
        needed: Bytes that the operation needs, to be named.
    """
    try:
        yield
    except OSError as problem:
        named = problem.filename if isinstance(problem.filename, str) else ""
        where = named if named and ".tmp-" not in named else path  # a temporary name says nothing to a user
        text = f"{where}: {problem.strerror or problem}."
        full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or needed:
            text += f" {_space(path, needed)}."
        if full:
            text += " Free some space or choose another folder."
        raise DiskError(text) from problem


CLUTTER = (
    ".DS_Store",
    "._*",
    "Thumbs.db",
    "desktop.ini",
)  # what file managers leave in a folder that is empty


def refuse_existing(out: Path, *, besides: Sequence[str] = (), hint: str = "") -> None:
    """Refuse a place to write that is there already and is not an empty folder.

    Args:
        out: Place of a new folder.
        besides: Patterns of the names that may be in it.
        hint: What else to try, after "choose another --out".

    Raises:
        ExistsError: If something is there.
        DiskError: If it cannot be looked at.
    """
    with disk_errors(out):
        ignored = (*besides, *CLUTTER)
        if out.exists() and (not out.is_dir() or any(not _among(one, ignored) for one in out.iterdir())):
            what = "is not empty" if out.is_dir() else "is a file"
            raise ExistsError(f"{out} {what}. Choose another --out{hint}.")


def _among(path: Path, patterns: Sequence[str]) -> bool:
    return any(path.match(pattern) for pattern in patterns)


def write_atomically(path: Path, content: bytes | str, *, private: bool = False) -> None:
    """Write a file through a temporary neighbour, synced to the disk, then renamed.

    Args:
        path: File.
        content: Text is written as UTF-8.
        private: Whether its owner alone may read it: letters, and whatever else names a person.

    Raises:
        DiskError: If any step fails; the previous content is still there and no temporary is left.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    replace_file(path, lambda temporary: temporary.write_bytes(data), len(data), private=private)


def replace_file(
    path: Path, write: Callable[[Path], Any], needed: int | None = None, *, private: bool = False
) -> None:
    """Let ``write`` produce a temporary file, then put it in place of ``path``, durably.

    The temporary is there, empty and ours, before ``write`` is called: its name cannot be guessed, and what
    is there already is never followed or written over.
    """
    temporary = path.with_name(f".{path.name[:200]}.tmp-{secrets.token_hex(8)}")
    with disk_errors(path, needed):
        os.close(new_file(temporary, 0o600 if private else 0o666))
        try:
            write(temporary)
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def new_file(path: Path, mode: int = 0o600) -> int:
    """Open a file that was not there, for writing; a link of that name is not followed.

    Returns:
        Its descriptor.

    Raises:
        FileExistsError: If something has that name.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys and a final newline, atomically; NaN is refused."""
    write_atomically(
        path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
    )


def csv_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula; what is no text stays as it is."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def sync(path: Path) -> None:
    """Force a file or folder to the disk; on macOS through the drive's own cache as well."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if sys.platform == "darwin":
            import fcntl

            try:
                fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
                return
            except OSError:  # not every file system has it
                pass
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with disk_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _space(path: Path, needed: int | None) -> str:
    folder = next((p for p in (path, *path.parents) if p.exists()), Path("/"))
    free = shutil.disk_usage(folder).free
    wanted = f"{needed / 1e6:.1f} MB needed, " if needed else ""
    return f"{wanted}{free / 1e6:.1f} MB free"
