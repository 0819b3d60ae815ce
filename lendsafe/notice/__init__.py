"""From a decision's grounds to a letter: composed, validated, rendered, kept.

``compose(grounds, narrative, config, dates)`` gives a :class:`Letter`, ``compose_all`` one for each person;
``validate`` names what it lacks; ``render_text``, ``render_html``, ``render_pdf`` and ``render_email`` write
it; ``record`` keeps it, ``verify``, ``anchor``, ``find``, ``expire`` and ``export`` serve the file.
"""

from lendsafe.notice.audit import Verification, anchor, find, verify
from lendsafe.notice.case import Case, Dates
from lendsafe.notice.compose import compose, compose_all
from lendsafe.notice.config import NoticeConfig
from lendsafe.notice.contact import Consent, Contact
from lendsafe.notice.email import render_email
from lendsafe.notice.grounds import Consumer, Grounds, Offer, PrincipalReason, Row, Score, Terms
from lendsafe.notice.ledger import Expired, expire, mend, record
from lendsafe.notice.lender import demo_config, example_toml, read_config
from lendsafe.notice.letter import Block, Letter, letter_to_json
from lendsafe.notice.pack import Pack, export
from lendsafe.notice.render import render_html, render_pdf, render_text
from lendsafe.notice.templates import templates, templates_sha256
from lendsafe.notice.validate import checklist, validate

__all__ = [
    "Block",
    "Case",
    "Consent",
    "Consumer",
    "Contact",
    "Dates",
    "Expired",
    "Grounds",
    "Letter",
    "NoticeConfig",
    "Offer",
    "Pack",
    "PrincipalReason",
    "Row",
    "Score",
    "Terms",
    "Verification",
    "anchor",
    "checklist",
    "compose",
    "compose_all",
    "demo_config",
    "example_toml",
    "expire",
    "export",
    "find",
    "letter_to_json",
    "mend",
    "read_config",
    "record",
    "render_email",
    "render_html",
    "render_pdf",
    "render_text",
    "templates",
    "templates_sha256",
    "validate",
    "verify",
]
