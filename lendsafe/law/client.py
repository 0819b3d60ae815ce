"""eCFR's versioner: which issues of a part there are, and the XML of one. Nothing is fetched unless asked.

    GET /api/versioner/v1/versions/title-12.json?part=1002      days on which the part was issued
    GET /api/versioner/v1/full/2026-07-21/title-12.xml?part=1002

The XML is answered compressed only; a day without an issue has the text of the issue before it.
"""

import json
import zlib
from collections.abc import Mapping
from datetime import date
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from lendsafe import __version__
from lendsafe.errors import ConfigError, DataError, OfflineError

ECFR = "https://www.ecfr.gov"
PARTS = ("1002", "1022")
_MOST_BYTES = 64 << 20
_TIMEOUT = 30.0  # seconds without an answer


class _StayOnSite(HTTPRedirectHandler):
    """Follows a redirection to the same place only."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        if urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            raise OfflineError(f"{req.full_url} sends elsewhere, to {newurl}; it is not followed.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def issue_of(part: str, day: date | None = None, base: str = ECFR, timeout: float = _TIMEOUT) -> date:
    """The last issue of a part up to a day; the newest if no day is given.

    Raises:
        DataError: If there is none.
        OfflineError: If the service cannot be reached or does not answer as it should.
    """
    url = f"{base}/api/versioner/v1/versions/title-12.json?part={part}"
    answer = _get(url, timeout)
    try:
        table: Mapping[str, Any] = json.loads(answer)
        days = sorted({date.fromisoformat(one["issue_date"]) for one in table["content_versions"]})
    except (ValueError, KeyError, TypeError) as problem:
        raise OfflineError(f"{url}: not an answer of the versioner ({type(problem).__name__}).") from problem
    usable = [one for one in days if day is None or one <= day]
    if not usable:
        first = f"; the first is of {days[0]}" if days else ""
        raise DataError(f"eCFR has no issue of part {part} up to {day}{first}.")
    return usable[-1]


def fetch(part: str, issue: date, base: str = ECFR, timeout: float = _TIMEOUT) -> bytes:
    """The XML of a part as issued on a day.

    Raises:
        OfflineError: If the service cannot be reached or does not answer as it should.
    """
    return _get(f"{base}/api/versioner/v1/full/{issue.isoformat()}/title-12.xml?part={part}", timeout)


def _get(url: str, timeout: float) -> bytes:
    _allowed(url)
    request = Request(  # noqa: S310  # the scheme was looked at
        url, headers={"Accept-Encoding": "gzip, deflate", "User-Agent": f"lendsafe/{__version__}"}
    )
    try:
        with build_opener(_StayOnSite).open(request, timeout=timeout) as answer:
            body: bytes = answer.read(_MOST_BYTES + 1)
            packing = (answer.headers.get("Content-Encoding") or "").lower()
        body = _unpacked(body, packing)
    except HTTPError as problem:
        raise OfflineError(f"{url}: answered {problem.code} {problem.reason}.") from problem
    except (URLError, HTTPException, OSError, EOFError, zlib.error) as problem:
        reason = getattr(problem, "reason", None) or str(problem) or type(problem).__name__
        raise OfflineError(
            f"{url}: {reason}. Refresh from a file instead: --from FILE --day DAY."
        ) from problem
    if len(body) > _MOST_BYTES:
        raise OfflineError(f"{url}: the answer is larger than {_MOST_BYTES >> 20} MB.")
    return body


def _unpacked(body: bytes, packing: str) -> bytes:
    if packing not in ("gzip", "deflate"):
        return body
    unpacker = zlib.decompressobj(wbits=47 if packing == "gzip" else 15)
    made = unpacker.decompress(body, _MOST_BYTES + 1)
    if not unpacker.eof and len(made) <= _MOST_BYTES:
        raise EOFError("the answer was cut off")
    return made


def _allowed(url: str) -> None:
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ConfigError(f"{url}: only https is asked, or http on this machine.")


__all__ = ["ECFR", "PARTS", "fetch", "issue_of"]
