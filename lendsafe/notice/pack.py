"""An evidence pack: records, the whole ledger, and the script that checks both, in one file.

The same record gives the same bytes. Whoever gets it needs Python and nothing else:

    unzip pack.zip -d pack && python pack/verify.py
"""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

from lendsafe import __version__
from lendsafe.errors import DataError, RefusedError
from lendsafe.files import disk_errors, write_atomically
from lendsafe.notice import audit, chain
from lendsafe.notice.templates import templates_sha256

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest day that a ZIP file can name
_README = """\
An evidence pack of LendSafe: letters, what they were made from, and proof that nobody changed them since.

  ledger.jsonl    one line for every record, in the pack or not, each with the hash of the line before it
  records/ID/     letter.json, checks.json (rules with citations), narrative.txt, the letter as sent, and the
                  papers that it was made from: application, assessment, provenance ...
  manifest.json   hash of every file here; how the sample was drawn; the anchor of the ledger
  sbom.json       the software that was installed (CycloneDX 1.5)
  verify.py       checks all of it: python verify.py [--anchor "LINE"]

Records were drawn by the order of SHA-256(seed + record id); who has the ledger draws the same ones.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """What was packed.

    Attributes:
        out: The file.
        records: Number of records in it.
        of: Number of records in the ledger.
        sha256: Hash of the file.
    """

    out: Path
    records: int
    of: int
    sha256: str


def export(
    folder: Path,
    out: Path,
    *,
    sample: int | None = None,
    application_id: str | None = None,
    seed: int = 0,
) -> Pack:
    """Pack records.

    Args:
        folder: The record.
        out: ZIP file, for its owner alone.
        sample: Number of records, drawn by hash; all if there are no more, or if left out.
        application_id: Pack one person's file instead.
        seed: Of the sample.

    Raises:
        RefusedError: If the record does not verify.
        DataError: If there is no record of that application, or none at all.
        DiskError: If it cannot be read or written.
    """
    found = audit.verify(folder)
    if found.problems:
        raise RefusedError(f"{folder}: {found.problems[0]}; what is not whole is not handed out.")
    known = [one["id"] for one in audit.live(folder)]
    if application_id is not None:
        drawn = [one["id"] for one in audit.find(folder, application_id)]
    else:
        drawn = sorted(known, key=lambda name: chain.sha256(f"{seed} {name}".encode()))[:sample]
    if not drawn:
        raise DataError(f"{folder}: no record to pack" + (" of that application." if application_id else "."))
    members = _members(folder, sorted(drawn))
    manifest = {
        "software": f"lendsafe {__version__}",
        "templates_sha256": templates_sha256(),
        "anchor": audit.anchor(folder),
        "sample": {"records": len(drawn), "of": len(known), "seed": seed, "by": "application"}
        if application_id is not None
        else {"records": len(drawn), "of": len(known), "seed": seed, "by": "SHA-256(seed + record id)"},
        "records": sorted(drawn),
        "files": {name: chain.sha256(data) for name, data in sorted(members.items())},
    }
    members[chain.MANIFEST] = _json(manifest)
    data = _zip(members)
    write_atomically(out, data, private=True)
    return Pack(out=out, records=len(drawn), of=len(known), sha256=hashlib.sha256(data).hexdigest())


def _members(folder: Path, drawn: list[str]) -> dict[str, bytes]:
    members = {
        "README.txt": _README.encode(),
        "verify.py": (files("lendsafe.notice") / "chain.py").read_bytes(),
        "sbom.json": _json(_sbom()),
    }
    with disk_errors(folder):
        members[chain.LEDGER] = (folder / chain.LEDGER).read_bytes()
        for name in drawn:
            for path in sorted((folder / chain.RECORDS / name).iterdir()):
                members[f"{chain.RECORDS}/{name}/{path.name}"] = path.read_bytes()
    return members


def _sbom() -> dict[str, Any]:
    """What is installed, as CycloneDX 1.5; no time and no serial number, so that it is the same each time."""
    installed = {
        (one.metadata["Name"].lower(), one.version)
        for one in metadata.distributions()
        if one.metadata and one.metadata["Name"]
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "lendsafe", "version": __version__}},
        "components": [
            {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
            for name, version in sorted(installed)
        ],
    }


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # compression differs between versions
        for name, data in sorted(members.items()):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o600 << 16
            info.create_system = 3  # of the file modes; the same wherever it is packed
            archive.writestr(info, data)
    return buffer.getvalue()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
