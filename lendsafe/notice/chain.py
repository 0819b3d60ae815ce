"""Read a record back: every byte, every line, every link. It only reads.

This file needs Python and nothing else. A copy of it goes into every evidence pack, as ``verify.py``, so that
whoever gets a pack checks it with the code that checks the record itself:

    python verify.py [--anchor "lendsafe-anchor ..."]
"""

import hashlib
import json
import stat
import sys
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

LEDGER, RECORDS, DRAFTS = "ledger.jsonl", "records", ".drafts"
MANIFEST = "manifest.json"
ANCHOR = "lendsafe-anchor"
START = "0" * 64  # stands where the first line names the line before it
_AHEAD = timedelta(days=1)  # by which a clock may be wrong


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def record_id(files: Mapping[str, str]) -> str:
    """The id of a record: from the hashes of what it holds."""
    return sha256(json.dumps(dict(files), sort_keys=True).encode())[:32]


def is_id(name: str) -> bool:
    """Whether a text has the form of a record's id, and so names nothing outside the folder of records."""
    return len(name) == 32 and set(name) <= set("0123456789abcdef")


def anchor_line(lines: int, last: str, written: str) -> str:
    """One line to publish or send: it vouches for every line of the ledger up to that one."""
    return f"{ANCHOR} {lines} {last} {written}"


def check(
    folder: Path, anchor: str | None = None, sampled: Collection[str] | None = None
) -> tuple[int, list[str], str]:
    """Read a record back.

    Args:
        folder: The record, or an unpacked evidence pack.
        anchor: A line of :func:`anchor_line`, kept elsewhere.
        sampled: Ids of the records that are there, if the folder is a pack; None if all are.

    Returns:
        Number of records, what is wrong in one line each, hash of the last line.
    """
    problems = [f"{name}: is a link, and no part of a record" for name in _links(folder)]
    if problems:
        return 0, problems, START
    ledger = folder / LEDGER
    if not ledger.is_file():
        return 0, [f"{LEDGER}: missing"], START
    lines = ledger.read_bytes().split(b"\n")
    if lines[-1]:
        problems.append(_cut_off(folder, lines[-1]))
    lines = lines[:-1]
    problems += _anchored(lines, anchor)
    live, chain = _chain(lines)
    problems += chain
    wanted = live if sampled is None else {name: live[name] for name in live if name in sampled}
    for name, files in wanted.items():
        problems += _files(folder, name, files)
    place = folder / RECORDS
    there = {one.name for one in place.iterdir()} if place.is_dir() else set()
    problems += [f"{RECORDS}/{name}: not in the ledger" for name in sorted(there - set(live))]
    if sampled is None:
        problems += _left_over(folder)
    return len(live), problems, sha256(lines[-1]) if lines else START


def _links(folder: Path) -> list[str]:
    """What is a link where a file or folder should be; nothing behind one is read."""
    found = ["the folder"] if folder.is_symlink() else []
    found += [name for name in (LEDGER, RECORDS, DRAFTS) if (folder / name).is_symlink()]
    if not found and (folder / RECORDS).is_dir():
        for place in sorted((folder / RECORDS).iterdir()):
            if place.is_symlink():
                found.append(f"{RECORDS}/{place.name}")
            elif place.is_dir():
                found += [
                    f"{RECORDS}/{place.name}/{one.name}"
                    for one in sorted(place.iterdir())
                    if not stat.S_ISREG(one.lstat().st_mode)
                ]
    return found


def _cut_off(folder: Path, tail: bytes) -> str:
    drafts = sorted((folder / DRAFTS).glob("*.line")) if (folder / DRAFTS).is_dir() else []
    whole = next((one for one in drafts if one.read_bytes().startswith(tail)), None)
    if whole is None:
        return f"{LEDGER}: the last line was cut off after {len(tail)} bytes, and no draft of it is there"
    return (
        f"{LEDGER}: the last line was cut off after {len(tail)} bytes; the draft {DRAFTS}/{whole.stem} is whole, "
        "and mends it: lendsafe record verify --mend"
    )


def _anchored(lines: list[bytes], anchor: str | None) -> Iterator[str]:
    """Whether the ledger still holds, unchanged, every line that an anchor vouches for."""
    if anchor is None:
        return
    words = anchor.split()
    if len(words) < 3 or words[0] != ANCHOR or not words[1].isdigit() or len(words[2]) != 64:
        yield "the anchor is none; expected a line such as " + anchor_line(
            1, START, "2026-11-27T12:00:00+00:00"
        )
        return
    count = int(words[1])
    if count > len(lines):
        yield f"{LEDGER}: {len(lines)} lines; the anchor vouches for {count}: {count - len(lines)} were removed"
    elif (sha256(lines[count - 1]) if count else START) != words[2]:
        yield f"{LEDGER}:{count}: not the line that the anchor vouches for: it, or one before it, was changed"


def _chain(lines: list[bytes]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The records that should be there, with the hashes of their files; and what is wrong with the lines."""
    live: dict[str, dict[str, str]] = {}
    kept_until: dict[str, str] = {}
    problems: list[str] = []
    previous, written = START, ""
    for number, line in enumerate(lines, start=1):
        where = f"{LEDGER}:{number}"
        try:
            entry = json.loads(line)
            if entry["previous"] != previous:
                problems.append(f"{where}: does not follow the line before it")
            problems += [f"{where}: {one}" for one in _times(entry, written)]
            written = str(entry.get("written", written))
            if "expired" in entry:
                problems += [f"{where}: {one}" for one in _expiry(entry, live, kept_until)]
                live.pop(str(entry["expired"]), None)
            else:
                name, files = str(entry["id"]), {str(k): str(v) for k, v in entry["files"].items()}
                if name in kept_until:
                    problems.append(f"{where}: repeats record {name}")
                if name != record_id(files):
                    problems.append(f"{where}: the record's id does not match its hashes")
                live[name], kept_until[name] = files, str(entry["retain_until"])
        except (ValueError, KeyError, TypeError, AttributeError):
            problems.append(f"{where}: not a record")
        previous = sha256(line)
    return live, problems


def _times(entry: Mapping[str, Any], before: str) -> Iterator[str]:
    """Whether a line's times can be: after the line before it, not to come, backdated where it says so."""
    moment = datetime.fromisoformat(str(entry["written"]))
    if before and moment < datetime.fromisoformat(before):
        yield "written before the line before it"
    if moment > datetime.now(UTC) + _AHEAD:
        yield "written at a time that is still to come"
    if "notified" in entry:
        late = bool(entry.get("deadline")) and moment.date() > date.fromisoformat(str(entry["deadline"]))
        if bool(entry["backdated"]) != (date.fromisoformat(str(entry["notified"])) < moment.date()):
            yield "its date and the time that it was written at do not give what it says of backdating"
        if bool(entry["late_when_written"]) != late:
            yield "its deadline and the time that it was written at do not give what it says of lateness"


def _expiry(
    entry: Mapping[str, Any], live: Mapping[str, Any], kept_until: Mapping[str, str]
) -> Iterator[str]:
    name = str(entry["expired"])
    if name not in live:
        yield f"destroys record {name}, which is not there to destroy"
    elif datetime.fromisoformat(str(entry["written"])).date() <= date.fromisoformat(kept_until[name]):
        yield f"record {name} was destroyed before its time, {kept_until[name]}"


def _files(folder: Path, name: str, files: Mapping[str, str]) -> Iterator[str]:
    place = folder / RECORDS / Path(name).name
    there = {one.name for one in place.iterdir()} if place.is_dir() else set()
    if not there:
        yield f"{RECORDS}/{name}: missing"
        return
    for file, expected in sorted(files.items()):
        if file not in there:
            yield f"{RECORDS}/{name}/{file}: missing"
        elif sha256((place / file).read_bytes()) != expected:
            yield f"{RECORDS}/{name}/{file}: changed since it was written"
    for file in sorted(there - set(files)):
        yield f"{RECORDS}/{name}/{file}: not in the ledger"


def _left_over(folder: Path) -> Iterator[str]:
    """What lies in the folder and belongs to no record."""
    for one in sorted(folder.iterdir()):
        if one.name not in (LEDGER, RECORDS, DRAFTS):
            yield f"{one.name}: not a part of a record"
    if (folder / DRAFTS).is_dir():
        for one in sorted((folder / DRAFTS).iterdir()):
            if one.suffix != ".line":
                yield f"{DRAFTS}/{one.name}: a draft that was not finished: lendsafe record verify --mend"


def check_pack(folder: Path, anchor: str | None = None) -> list[str]:
    """What is wrong with an unpacked evidence pack."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        files, sampled, kept = manifest["files"], list(manifest["records"]), str(manifest["anchor"])
    except (OSError, ValueError, KeyError, TypeError) as problem:
        return [f"{MANIFEST}: cannot be read: {type(problem).__name__}"]
    there = {
        one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file() or one.is_symlink()
    }
    problems = [f"{name}: missing" for name in sorted(set(files) - there)]
    problems += [f"{name}: not in the manifest" for name in sorted(there - set(files) - {MANIFEST})]
    for name in sorted(set(files) & there):
        if sha256((folder / name).read_bytes()) != files[name]:
            problems.append(f"{name}: changed since it was packed")
    problems += check(folder, kept, sampled)[1]
    return problems + (check(folder, anchor, sampled)[1] if anchor else [])


def main(arguments: list[str]) -> int:
    """Check the pack that this file lies in; 0 if nothing is wrong."""
    anchor = arguments[arguments.index("--anchor") + 1] if "--anchor" in arguments[:-1] else None
    problems = list(dict.fromkeys(check_pack(Path(__file__).resolve().parent, anchor)))
    lines = problems or [
        "Every byte is as it was packed, and every line of the ledger follows the one before."
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
