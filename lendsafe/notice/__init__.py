"""From an explanation to a letter: composed, validated, rendered, kept.

``compose(explanation, contact, config, dates)`` gives a :class:`Letter`; ``validate`` names what it
lacks; ``render_text``, ``render_html`` and ``render_pdf`` write it; ``record`` and ``verify`` keep it.
"""

from lendsafe.notice.compose import compose
from lendsafe.notice.config import NoticeConfig, demo_config, example_toml, read_config
from lendsafe.notice.ledger import Verification, record, verify
from lendsafe.notice.letter import Block, Contact, Dates, Letter, letter_to_json
from lendsafe.notice.render import render_html, render_pdf, render_text
from lendsafe.notice.templates import templates, templates_sha256
from lendsafe.notice.validate import checklist, validate

__all__ = [
    "Block",
    "Contact",
    "Dates",
    "Letter",
    "NoticeConfig",
    "Verification",
    "checklist",
    "compose",
    "demo_config",
    "example_toml",
    "letter_to_json",
    "read_config",
    "record",
    "render_html",
    "render_pdf",
    "render_text",
    "templates",
    "templates_sha256",
    "validate",
    "verify",
]
