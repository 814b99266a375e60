"""Writes the sample company's e-mails, raw/mails/*.eml: threads between customers and the support desk.

A reply quotes what it answers, some mails are HTML only, some bring a document. Personal data stands in clear, in signatures,
quoted history and sentences; each value is noted for each mail that shows it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from pathlib import Path
from random import Random
from typing import Any, Final

from stellwerk.demo.catalogue import Slots
from stellwerk.demo.contacts import contact
from stellwerk.demo.manual_files import Typesetter, docx_letter
from stellwerk.demo.personal_data import draw_value
from stellwerk.demo.phrases import Template, draws, fill, pick, read_templates, read_wording
from stellwerk.demo.process import office_hours
from stellwerk.demo.tickets import Ticket, templates, write_ticket
from stellwerk.demo.truth import HEADS

MAILS: Final = 120
DESK: Final = "kundendienst@tannwerder.example"
LENGTHS: Final = (1, 2, 2, 3, 3, 4)  # messages of a thread
QUOTED: Final = 2  # levels of history that a reply keeps: less than a near copy of what it answers
HTML_SHARE: Final = 0.2
REPORT_SHARE: Final = 0.25  # of the desk's replies
# Share of the threads whose first letter holds a value of the kind.
VALUES: Final = {"iban": 0.25, "credit_card": 0.15, "secret": 0.2}
OTHER_DRAW: Final = 100_000  # so that a mail's letter is none of the help desk's export


@dataclass
class Mail:
    """One e-mail: who writes, what, and which personal data it shows."""

    name: str
    sender: tuple[str, str]
    to: tuple[str, str]
    subject: str
    sent: datetime
    own: str
    language: str
    answers: Mail | None = None
    html: bool = False
    report: tuple[str, list[str], str] | None = None  # title, lines, suffix
    values: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What the mail says, with the history that it quotes."""
        return self.quoting(QUOTED)

    def quoting(self, levels: int) -> str:
        """What the mail says, with so many of the mails before it."""
        earlier = self.answers
        if earlier is None or levels == 0:
            return self.own
        line = str(read_wording("mails")[self.language]["quote"]).format(
            date=f"{earlier.sent:%d.%m.%Y}" if self.language == "de" else f"{earlier.sent:%Y-%m-%d}",
            time=f"{earlier.sent:%H:%M}", name=earlier.sender[0], address=earlier.sender[1],
        )  # fmt: skip
        quoted = "\n".join(f"> {line}" for line in earlier.quoting(levels - 1).splitlines())
        return f"{self.own}\n\n{line}\n{quoted}"

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The personal data that the mail shows, that of its head and of the quoted history with it."""
        rows, mail = list(self.values), self
        for _ in range(QUOTED):
            if mail.answers is None:
                break
            mail = mail.answers
            address = mail.sender[1]
            rows += [{"kind": "email", "value": address, "format": "quoted", "normal": address}, *mail.values]
        for place, (_, address) in (("sender", self.sender), ("recipients", self.to)):
            rows.append({"kind": HEADS, "value": address, "format": place, "normal": address})
        return list({(row["kind"], row["value"]): row for row in reversed(rows)}.values())[::-1]

    @property
    def reported(self) -> Mail | None:
        """The last mail before it in the thread that brought the report; a report that is sent again is the same file."""
        mail = self.answers
        while mail and not mail.report:
            mail = mail.answers
        return mail

    @property
    def attachment(self) -> str:
        """The name of the attached report, as the build names it."""
        return f"mails:{self.path}#attachment 1"

    @property
    def path(self) -> str:
        """The file's path in the workspace."""
        return f"raw/mails/{self.name}.eml"


def write_mails(folder: Path, seed: int) -> Iterator[dict[str, Any]]:
    """Write all e-mails and yield the truth about the personal data in them.

    Args:
        folder: of the workspace; the mails go to raw/mails
        seed: of the whole corpus

    Yields:
        Rows of planted.jsonl: kind, doc, detail, and partner for reports that are sent twice.
    """
    (folder / "raw" / "mails").mkdir(parents=True, exist_ok=True)
    typesetter = Typesetter()
    for mail in mails(seed):
        (folder / mail.path).write_bytes(_message(mail, typesetter).as_bytes())
        for row in mail.shown:
            detail = {name: row[name] for name in ("value", "format", "normal")}
            yield {"kind": row["kind"], "doc": f"mails:{mail.path}", "detail": detail}
        yield {"kind": "person_name", "doc": f"mails:{mail.path}", "detail": _name(mail)}
        if mail.report and mail.reported:
            detail = {"jaccard": 1.0, "how": "report sent again"}
            yield {"kind": "exact_duplicate", "doc": mail.attachment, "partner": mail.reported.attachment, "detail": detail}


def mails(seed: int) -> Iterator[Mail]:
    """All e-mails of a seed, thread after thread."""
    written = thread = 0
    while written < MAILS:
        rng = draws(f"mails/{seed}/{thread}")
        wanted = min(pick(rng, LENGTHS), MAILS - written)
        last: Mail | None = None
        ticket = write_ticket(seed, thread * 7, 20_000, OTHER_DRAW + thread)
        for place in range(wanted):
            last = _mail(rng, seed, ticket, thread, place, last)
            yield last
        written += wanted
        thread += 1


def _mail(rng: Random, seed: int, ticket: Ticket, thread: int, place: int, last: Mail | None) -> Mail:
    language = "de" if ticket.language == "de" else "en"
    customer = (contact(seed, ticket.customer).name, contact(seed, ticket.customer).email)
    desk = (f"Tannwerder {'Kundendienst' if language == 'de' else 'Service'}", DESK)
    wording = read_templates(read_wording("mails")[language])
    by_desk = place % 2 == 1
    mail = Mail(
        name=f"{2026_0000 + thread * 10 + place}",
        sender=desk if by_desk else customer,
        to=customer if by_desk else desk,
        subject=ticket.subject if place == 0 else f"{read_wording('mails')[language]['reply_prefix']}{ticket.subject}",
        sent=office_hours(last.sent + timedelta(minutes=45 + int(rng.random() * 3000))) if last else ticket.created,
        own="",
        language=language,
        answers=last,
        html=rng.random() < HTML_SHARE,
    )
    if by_desk:
        _by_desk(rng, mail, ticket, wording)
    else:
        _by_customer(rng, seed, mail, ticket, wording, first=place == 0)
    return mail


def _by_desk(rng: Random, mail: Mail, ticket: Ticket, wording: dict[str, list[Template]]) -> None:
    replies = templates(mail.language)["replies"]
    lines = [fill(pick(rng, replies[part]), rng, ticket.slots) for part in ("opening", ticket.intent)]
    more = sorted(wording["agent_more"], key=lambda _: rng.random())[:3]
    lines += [fill(template, rng, ticket.slots) for template in more]
    if rng.random() < REPORT_SHARE:
        report = _report(rng, ticket.slots, wording)
        if mail.reported and mail.reported.report:
            report = mail.reported.report
        mail.report = report
        lines.append(fill(wording["attached"][0], rng, {"what": f"{report[0]} {ticket.slots['serial']}"}))
    raw = read_wording("mails")[mail.language]
    mail.own = f"{' '.join(lines)}\n\n{raw['farewell']}\n{raw['desk']}"


def _by_customer(rng: Random, seed: int, mail: Mail, ticket: Ticket, wording: dict[str, list[Template]], first: bool) -> None:
    who, raw = contact(seed, ticket.customer), read_wording("mails")[mail.language]
    if first:
        mail.own = ticket.body
        for kind, share in VALUES.items():
            if rng.random() < share:
                value, shape, normal = draw_value(rng, ticket, kind)
                while "\n" in value:  # a quoted reply would cut it into lines
                    value, shape, normal = draw_value(rng, ticket, kind)
                sentence = fill(pick(rng, templates("planted")["personal"][mail.language][kind]), rng, {"value": value})
                mail.own = f"{sentence}\n\n{mail.own}" if rng.random() < 0.3 else f"{mail.own}\n\n{sentence}"
                mail.values.append({"kind": kind, "value": value, "format": shape, "normal": normal})
    else:
        lines = sorted(wording["follow_up"], key=lambda _: rng.random())[:5]
        mail.own = " ".join(fill(template, rng, ticket.slots) for template in lines)
    mail.own += f"\n\n{raw['farewell']}\n{who.name}\n{ticket.customer.name}\n{raw['signature'].format(phone=who.phone)}"
    mail.values.append({"kind": "phone", "value": who.phone, "format": "international", "normal": who.phone.replace(" ", "")})
    if rng.random() < 0.5:
        mail.own += f"\n{raw['mail_line'].format(email=who.email)}"
        mail.values.append({"kind": "email", "value": who.email, "format": "plain", "normal": who.email})


def _report(rng: Random, slots: Slots, wording: dict[str, list[Template]]) -> tuple[str, list[str], str]:
    lines = [fill(template, rng, slots) for template in wording["report_lines"]]
    return fill(wording["report"][0], rng, slots), lines, pick(rng, ["pdf", "docx"])


def _name(mail: Mail) -> dict[str, Any]:
    """The name of the customer's contact, which stands in the head and the signature of each mail."""
    name = mail.sender[0] if mail.sender[1] != DESK else mail.to[0]
    return {"value": name, "format": "full name", "normal": name}


def _message(mail: Mail, typesetter: Typesetter) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = _address(*mail.sender), _address(*mail.to)
    message["Subject"] = mail.subject or " "
    message["Date"] = mail.sent.replace(tzinfo=UTC)
    message["Message-ID"] = f"<{mail.name}@tannwerder.example>"
    if mail.answers:
        message["In-Reply-To"] = message["References"] = f"<{mail.answers.name}@tannwerder.example>"
    if mail.html:
        page = f"<html><body>{''.join(map(_paragraph, mail.text.split(chr(10) * 2)))}</body></html>"
        message.set_content(page, subtype="html", cte="quoted-printable")
    else:
        message.set_content(mail.text, cte="quoted-printable")
    if mail.report:
        title, lines, suffix = mail.report
        pdf = suffix == "pdf"
        data = typesetter.letter(title, mail.language, lines) if pdf else docx_letter(title, lines)
        kind = "pdf" if pdf else "vnd.openxmlformats-officedocument.wordprocessingml.document"
        message.add_attachment(data, "application", kind, filename=f"{title} {mail.name}.{suffix}")
        # The library would draw another boundary each time.
        message.set_boundary(f"=_{base64.b32encode(mail.name.encode()).decode().rstrip('=')}")
    return message


def _address(name: str, address: str) -> Address:
    user, _, domain = address.partition("@")
    return Address(name, user, domain)


def _paragraph(text: str) -> str:
    return f"<p>{escape(text).replace(chr(10), '<br>')}</p>"
