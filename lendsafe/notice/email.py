"""A letter as an electronic letter: text, HTML and PDF in one message, for a consumer who consented.

Nothing is sent from here; the message is a file that a lender's own mail system sends.
"""

import hashlib
from datetime import UTC, datetime, time
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from lendsafe.errors import ConfigError, DataError
from lendsafe.notice.letter import Letter
from lendsafe.notice.render import render_html, render_pdf, render_text


def render_email(letter: Letter) -> bytes:
    """The message, the same bytes for the same letter (RFC 5322); the subject names the letter and nobody.

    Raises:
        DataError: If there is no mailbox, or no consent that holds on the letter's day (15 USC 7001(c)).
        ConfigError: If the lender's file names no mailbox to send from.
    """
    contact, config, day = letter.case.recipient.contact, letter.case.config, letter.case.dates.notice
    if not contact.email:
        raise DataError("An electronic letter needs a mailbox, and the contact has no 'email'.")
    if contact.consent is None or not contact.consent.holds(day):
        raise DataError(
            f"The consumer's consent to electronic letters is not there, or does not hold on {day} "
            "(15 USC 7001(c)); give 'consent', or send it by mail."
        )
    if not config.creditor.email:
        raise ConfigError("An electronic letter needs a sender; set 'email' under [creditor].")
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["Subject"] = letter.title
    message["From"] = _mailbox(config.creditor.name, config.creditor.email)
    message["To"] = _mailbox(contact.name, contact.email)
    message["Date"] = format_datetime(datetime.combine(day, time(12), UTC))
    message["Message-ID"] = f"<{letter.input_sha256[:32]}@{config.creditor.email.partition('@')[2]}>"
    message.set_content(render_text(letter))
    message.add_alternative(render_html(letter), subtype="html")
    message.add_attachment(render_pdf(letter), maintype="application", subtype="pdf", filename="letter.pdf")
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(hashlib.sha256(f"{letter.input_sha256} {number}".encode()).hexdigest()[:40])
    return message.as_bytes()


def _mailbox(name: str, address: str) -> Address:
    user, _, domain = address.rpartition("@")
    return Address(display_name=name, username=user, domain=domain)
