"""Reading e-mails: bodies, headers, attachments, mails within mails, and mails that nobody should have sent."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import string
import time
from collections.abc import Iterator
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import document_files
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.jobs.data.files.mailfile import COLUMNS, MAX_DEPTH, read_mail
from stellwerk.jobs.data.files.mailparts import MAX_NESTING, MAX_PARTS
from stellwerk.jobs.data.files.schema import facts_of
from stellwerk.jobs.data.files.shapes import Facts, FileProblem, ReadOptions, Source, Unreadable

HEAD = b"From: a@example.org\nSubject: s\n"
PDF = "application/pdf"


def number(text: str) -> str:
    """The number of a message as a row has it."""
    return f"m{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def source(data: bytes, options: ReadOptions | None = None) -> Source:
    pieces = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    return Source("raw/m.eml", data[: 2**16], iter(pieces), options or ReadOptions(), Facts("eml"))


def read_pages(data: bytes, name: str, ending: str) -> Iterator[pa.Table | Unreadable]:
    """A reader of documents: one row for each line; a line `bad` cannot be read, a document `broken` not at all."""
    if data == b"broken":
        raise FileProblem("corrupt_file", "is broken; export it again")
    lines = data.decode("utf-8", "replace").split("\n")
    rows = [{"origin": f"{name}#page {number}", "text": f"{ending} {line}"} for number, line in enumerate(lines, 1)]
    yield pa.Table.from_pylist([row for row in rows if not row["text"].endswith("bad")])
    for row in rows:
        if row["text"].endswith("bad"):
            yield Unreadable(row["origin"], f"{row['origin']} is bad", "bad_page")


def read(
    made: bytes | EmailMessage, options: ReadOptions | None = None
) -> tuple[list[dict[str, Any]], list[Unreadable], list[str]]:
    """Rows, what could not be read, and the notes on the file."""
    taken = source(made if isinstance(made, bytes) else made.as_bytes(policy=SMTP), options)
    rows: list[dict[str, Any]] = []
    bad: list[Unreadable] = []
    for piece in read_mail(taken, read_pages):
        if isinstance(piece, Unreadable):
            bad.append(piece)
        else:
            assert facts_of(piece).format == "eml"
            assert piece.schema.names[0] == "origin"
            rows += piece.to_pylist()
    return rows, bad, taken.facts.notes


def row(made: bytes | EmailMessage) -> dict[str, Any]:
    """The row of a mail that gives exactly one."""
    rows, bad, _ = read(made)
    assert (len(rows), bad) == (1, [])
    return rows[0]


def body(text: bytes, kind: str = "text/plain; charset=utf-8", encoding: str = "8bit", head: bytes = HEAD) -> bytes:
    """A mail with a body as it stands."""
    return head + f"Content-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n".encode() + text


def parts(kind: str, *inner: bytes, head: bytes = HEAD, boundary: bytes = b"b", close: bool = True) -> bytes:
    """A multipart of parts, each with its headers."""
    made = head + b"Content-Type: " + kind.encode() + b'; boundary="' + boundary + b'"\n\npreamble\n'
    return made + b"".join(b"--%s\n%s\n" % (boundary, part) for part in inner) + (b"--%s--\nepilogue\n" % boundary) * close


def text_part(text: str) -> bytes:
    return f"Content-Type: text/plain; charset=utf-8\n\n{text}".encode()


def html_part(text: str) -> bytes:
    return f"Content-Type: text/html; charset=utf-8\n\n{text}".encode()


def problem(data: bytes, options: ReadOptions | None = None) -> FileProblem:
    with pytest.raises(FileProblem) as caught:
        read(data, options)
    assert "\n" not in caught.value.reason
    return caught.value


def test_a_plain_mail_is_one_row() -> None:
    made = document_files.mail(Cc='"Muster, Otto" <otto@example.org>, b@example.org', In_Reply_To="<0@example.org>")
    (table,) = read_mail(source(made.as_bytes()))
    assert table.schema.remove_metadata().equals(COLUMNS)
    assert table.to_pylist() == [
        {
            "origin": "raw/m.eml",
            "title": "Störung",
            "text": "Guten Tag,\n\ndie Presse steht.\n",
            "sent": datetime.datetime(2026, 11, 22, 8, 30),
            "sender": "Erika Muster <erika@example.org>",
            "recipients": 'support@example.org, "Muster, Otto" <otto@example.org>, b@example.org',
            "message_id": number("1@example.org"),
            "in_reply_to": number("0@example.org"),
            "attached_to": None,
        }
    ]


def test_nothing_of_a_short_html_mail_is_lost() -> None:
    page = (
        "<html><head><title>no</title><style>p {color: red}</style></head><body><p>Sehr geehrte Frau M&uuml;ller,</p>"
        "<p>die Pumpe&nbsp;P&#8209;7 <b>leckt</b> &amp; l&auml;uft\n hei&szlig;.<br>Bitte um R&uuml;ckruf.</p>"
        "<div style='display:none'>preheader</div><ul><li>Dichtung<li>Lager</ul>"
        "<table><tr><td><p>Teil</p></td><td>Zahl</td></tr><tr><td>A-1</td><td>2</td></tr></table>"
        "<div>Gru&szlig;</div><div>Otto</div><div>Tel. +49 30 123456</div>"
        "<blockquote>Am Montag schrieb M&uuml;ller:<br>&gt; l&auml;uft sie?</blockquote></body></html>"
    )
    assert row(document_files.mail(None, page))["text"] == (
        "Sehr geehrte Frau Müller,\n\ndie Pumpe P\u20117 leckt & läuft heiß.\nBitte um Rückruf.\n\n- Dichtung\n- Lager\n\n"
        "Teil | Zahl\nA-1 | 2\n\nGruß\nOtto\nTel. +49 30 123456\n\nAm Montag schrieb Müller:\n> läuft sie?\n"
    )


def test_lines_of_mail_programs_are_lines() -> None:
    page = "<p class=MsoNormal>eins<o:p></o:p></p><p class=MsoNormal>zwei</p><p>drei</p><pre>a  b\nc</pre>"
    assert row(document_files.mail(None, page))["text"] == "eins\nzwei\n\ndrei\n\na b\nc\n"
    page = "<div>eins</div><div><br></div><div>zwei<br></div><ol><li><p>drei</p></li><li><div>vier</div><p>fünf</p></ol>"
    assert row(document_files.mail(None, page))["text"] == "eins\n\nzwei\n\n- drei\n- vier\n\nfünf\n"


def test_of_alternatives_the_plain_one_is_taken_unless_it_is_a_stub() -> None:
    assert row(document_files.mail("plain", "<p>rich</p>"))["text"] == "plain\n"
    assert row(document_files.mail(" ", "<p>rich</p>"))["text"] == "rich\n"
    long = "word " * 200
    assert row(document_files.mail("Please use a program that shows HTML.", f"<p>{long}</p>"))["text"].split() == long.split()


def test_texts_around_a_picture_are_joined() -> None:
    picture = b"Content-Type: image/png\nContent-ID: <1>\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo="
    made = parts("multipart/mixed", text_part("above"), picture, text_part("below"))
    assert row(made)["text"] == "above\n\nbelow\n"
    related = parts("multipart/related", html_part("seen <img src='cid:1'>"), picture.replace(b"Content-ID: <1>\n", b""))
    assert read(related)[2] == []


def test_lines_that_flow_are_joined() -> None:
    made = body(b"one \ntwo\n> quoted \n> too\n-- \nsig \n", "text/plain; charset=utf-8; format=flowed")
    assert row(made)["text"] == "one two\n> quoted too\n--\nsig\n"
    assert row(body(b"Donau \ndampf\n", "text/plain; format=flowed; delsp=yes"))["text"] == "Donaudampf\n"


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64", "8bit"])
@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252"])
def test_transfer_encodings(encoding: str, charset: str) -> None:
    text = "Größe: 5 µm = gut\n" + "ä" * 200 + "\n"
    made = EmailMessage()
    made["From"] = "a@example.org"
    made.set_content(text, charset=charset, cte=encoding)
    assert row(made)["text"] == text
    assert row(made.as_bytes(policy=SMTP))["text"] == text


@pytest.mark.parametrize(
    ("named", "raw"),
    [
        ("iso-8859-1", "Größe 5 €".encode()),
        ("us-ascii", "Größe 5 €".encode("cp1252")),
        ("utf-8", "Größe 5 €".encode("cp1252")),
        ("iso-8859-1", "Größe 5 €".encode("cp1252")),
        ("x-unknown", "Größe 5 €".encode()),
        ("", "Größe 5 €".encode("cp1252")),
        ("unicode_escape", "Größe 5 €".encode()),
        ("utf-16", "Größe 5 €".encode("utf-16")),
        ("iso-8859-15", "Größe 5 €".encode("iso-8859-15")),
    ],
)
def test_charsets_that_are_wrong_or_odd(named: str, raw: bytes) -> None:
    data = base64.encodebytes(raw)
    assert row(body(data, f"text/plain; charset={named}", "base64"))["text"] == "Größe 5 €\n"


def test_other_scripts() -> None:
    for charset, text in (("gb2312", "联通 水泵"), ("iso-2022-jp", "ポンプ"), ("koi8-r", "насос"), ("shift_jis", "故障")):
        assert row(body(text.encode(charset), f"text/plain; charset={charset}"))["text"] == text + "\n"


def test_a_page_may_name_its_charset_itself() -> None:
    page = '<meta charset="iso-8859-2"><p>Łódź</p>'.encode("iso-8859-2")
    assert row(body(page, "text/html"))["text"] == "Łódź\n"


def test_headers_in_all_their_spellings() -> None:
    subject = Header("Rückfrage zur Störung an der Presse Nummer 7 in Halle Süd, dringend, bitte prüfen", "iso-8859-1").encode()
    head = (
        f"Subject: {subject}\r\nFrom: =?UTF-8?Q?M=C3=BCller=2C_J=C3=B6rg?= <j@example.org>\r\n"
        "To: =?utf-8?b?w4Q=?=\r\n =?utf-8?b?w5Y=?= <a@example.org>,\r\n\tb@example.org\r\n"
        "Date: Mon, 23 Nov 2026 10:00:00 MESZ\r\n"
        "References: <1@x> <2@x>\r\n\r\ntext"
    )
    found = row(head.encode())
    assert found["title"] == "Rückfrage zur Störung an der Presse Nummer 7 in Halle Süd, dringend, bitte prüfen"
    assert found["sender"] == '"Müller, Jörg" <j@example.org>'
    assert found["recipients"] == "ÄÖ <a@example.org>, b@example.org"
    assert found["sent"] == datetime.datetime(2026, 11, 23, 8, 0)
    assert found["in_reply_to"] == number("2@x")
    raw = "Subject: Störung =?utf-8?q?f=C3=BCr?= =?utf-8?q?_alle_=C3?= =?utf-8?q?=A4?= =?x?b?!?= \xa0Ende\n\nx"
    assert row(raw.encode())["title"] == "Störung für alle ä =?x?b?!?= Ende"
    assert row("Subject: Störung\nFrom: Jörg <j@x.de>\n\nx".encode("latin-1"))["sender"] == "Jörg <j@x.de>"


@pytest.mark.parametrize(
    ("written", "hour"),
    [
        ("Sun, 22 Nov 2026 09:30:00 +0100", 8),
        ("22 Nov 26 09:30 -0000", 9),
        ("Sun, 22 Nov 2026 09:30:00 +0100 (Mitteleuropäische Zeit)", 8),
        ("Sun, 22 Nov 2026 09:30:00 CET", 8),
        ("2026-11-22T09:30:00+01:00", 8),
        ("Sun, 22 Nov 2026 09:30:00", 9),
        ("Sun, 22 Nov 2026 09:30:00 +9999999", None),
        ("Sun, 32 Nov 2026 09:30:00 +0100", None),
        ("yesterday", None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("", None),
    ],
)
def test_dates(written: str, hour: int | None) -> None:
    rows, _, notes = read(f"Subject: s\nDate: {written}\n\nx".encode())
    assert rows[0]["sent"] == (None if hour is None else datetime.datetime(2026, 11, 22, hour, 30))
    assert notes == (["has a date that could not be read"] if hour is None and written else [])


def test_what_is_missing_is_null() -> None:
    found = row(b"Subject: only this\n\n")
    assert found["text"] == ""
    assert {name for name, value in found.items() if value is None} == set(COLUMNS.names) - {"origin", "title", "text"}
    assert row(b"From: nobody\nTo: undisclosed-recipients:;\n\nx")["sender"] == "nobody"


def test_attached_documents_become_rows() -> None:
    made = document_files.mail(
        attachments=[
            ("Bericht Müller.pdf", PDF, b"one\nbad\ntwo"),
            ("photo.jpg", "image/jpeg", b"\xff\xd8"),
            ("..\\..\\etc\\notes.docx", "application/octet-stream", b"three"),
            ("smime.p7s", "application/pkcs7-signature", b"x"),
            ("broken.odt", "application/octet-stream", b"broken"),
            ("liste.xlsx", "application/octet-stream", b"x"),
            ("ohne", "text/plain", b"four"),
            ("winmail.dat", "application/ms-tnef", b"x"),
        ]
    )
    rows, bad, notes = read(made)
    assert [(one["origin"], one["title"], one["text"], one.get("attached_to")) for one in rows[1:]] == [
        ("raw/m.eml#attachment 1#page 1", "Bericht Müller.pdf", ".pdf one", "raw/m.eml"),
        ("raw/m.eml#attachment 1#page 3", "Bericht Müller.pdf", ".pdf two", "raw/m.eml"),
        ("raw/m.eml#attachment 3#page 1", "notes.docx", ".docx three", "raw/m.eml"),
        ("raw/m.eml#attachment 6#page 1", "ohne", ".txt four", "raw/m.eml"),
    ]
    assert [(one.origin, one.rule) for one in bad] == [
        ("raw/m.eml#attachment 1#page 2", "bad_page"),
        ("raw/m.eml#attachment 4", "corrupt_file"),
    ]
    assert bad[1].reason == "raw/m.eml#attachment 4 is broken; export it again"
    assert len(notes) == 2
    assert "winmail.dat" in notes[0]
    assert notes[1] == "has 2 attachments of kinds that are not read (.jpg, .xlsx)"
    assert "Müller" not in "".join(notes)


def test_without_a_reader_or_the_wish_attachments_are_left() -> None:
    made = document_files.mail(attachments=[("a.pdf", PDF, b"one")], inside=[document_files.mail("inner")])
    assert len(read(made, ReadOptions(attachments=False))[0]) == 1
    taken = source(made.as_bytes())
    assert [table.column("origin").to_pylist() for table in read_mail(taken)] == [["raw/m.eml"], ["raw/m.eml#attachment 2"]]
    assert taken.facts.notes == ["has 1 attachment of a kind that is not read (.pdf)"]


def test_names_of_files_in_all_their_spellings() -> None:
    for spelled in (
        "filename*=utf-8''Pr%C3%BCfung.pdf",
        "filename*0*=utf-8''Pr%C3%BC; filename*1=fung.pdf",
        'filename="=?utf-8?q?Pr=C3=BCfung.pdf?="',
        'filename="Prüfung.pdf"',
    ):
        part = f"Content-Type: application/octet-stream\nContent-Disposition: attachment; {spelled}\n\none".encode()
        rows, _, _ = read(parts("multipart/mixed", text_part("x"), part))
        assert rows[1]["title"] == "Prüfung.pdf", spelled


def test_mails_within_mails() -> None:
    inner = document_files.mail("inner", Subject="Innen", attachments=[("a.pdf", PDF, b"one")])
    outer = document_files.mail("outer", inside=[document_files.mail("middle", inside=[inner])])
    rows, bad, _ = read(outer)
    assert not bad
    assert [(one["origin"], one["text"].strip(), one["attached_to"]) for one in rows] == [
        ("raw/m.eml", "outer", None),
        ("raw/m.eml#attachment 1", "middle", "raw/m.eml"),
        ("raw/m.eml#attachment 1#attachment 1", "inner", "raw/m.eml#attachment 1"),
        ("raw/m.eml#attachment 1#attachment 1#attachment 1#page 1", ".pdf one", "raw/m.eml#attachment 1#attachment 1"),
    ]
    named = document_files.mail(attachments=[("old.eml", "application/octet-stream", inner.as_bytes())])
    assert read(named)[0][1]["title"] == "Innen"


def test_mails_too_deep_within_mails_are_named() -> None:
    made = document_files.mail("0")
    for level in range(1, MAX_DEPTH + 3):
        made = document_files.mail(str(level), inside=[made])
    rows, bad, _ = read(made)
    assert len(rows) == MAX_DEPTH + 1
    assert [(one.origin, one.rule) for one in bad] == [("raw/m.eml" + "#attachment 1" * (MAX_DEPTH + 1), "too_deep")]


def test_parts_too_deep_or_too_many() -> None:
    made = text_part("x")
    for level in range(MAX_NESTING + 1):
        made = parts("multipart/mixed", made, head=b"" if level < MAX_NESTING else HEAD, boundary=b"b%d." % level)
    assert problem(made).rule == "too_deep"
    assert problem(parts("multipart/mixed", *[text_part("x")] * MAX_PARTS)).rule == "too_many_parts"
    inside = parts("multipart/mixed", *[text_part("x")] * (MAX_PARTS // 2 + 1), boundary=b"in")
    twice = [b"Content-Type: message/rfc822\n\n" + inside] * 2
    assert problem(parts("multipart/mixed", *twice)).rule == "too_many_parts"


def test_limits_of_size() -> None:
    assert problem(body(b"x" * 5000), ReadOptions(max_office_bytes=4000)).rule == "too_large"
    assert problem(b"Subject: s\n" + b"X-A: b\n" * 200_000 + b"\nx").rule == "too_large"


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Type: text/plain; " + b";" * 500_000 + b"\n\nx",
        b'Content-Type: text/plain; a="' + b'\\";' * 200_000 + b"\n\nx",
        b"To: " + b"(" * 500_000 + b"\n\nx",
        b"To: " + b"<" * 500_000 + b"\n\nx",
        b"To: " + b'"a",' * 100_000 + b"\n\nx",
        b"To: " + b"a@b.de," * 100_000 + b"\n\nx",
        b"Subject: " + b"=?a?q?" * 100_000 + b"\n\nx",
        b"Subject: s\nDate: " + b"1 " * 300_000 + b"\n\nx",
        b"Subject: s\nReferences: " + b"<" * 500_000 + b"\n\nx",
        b"Subject: s\nContent-Type: multipart/mixed; boundary=-\n\n" + b"\n---" * 400_000,
        b"Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n" + b"\n--b" + b" " * 4_000_000,
        b"Subject: s\nContent-Type: text/html\n\n" + b"<div>" * 200_000,
        b"Subject: s\nContent-Type: text/html\n\n" + b"<table><tr><td>" * 50_000,
        b"a" * 8_000_000,
    ],
    ids=range(14),
)
def test_no_mail_takes_long(data: bytes) -> None:
    began = time.process_time()
    with contextlib.suppress(FileProblem):
        read(data)
    assert time.process_time() - began < 3


def test_what_is_no_mail_or_sealed_says_so() -> None:
    assert problem(b"just a text\nof two lines").rule == "not_a_mail"
    assert problem(b"\x89PNG\r\n\x1a\n" + bytes(range(256))).rule == "not_a_mail"
    assert ".msg" in problem(b"\xd0\xcf\x11\xe0\xa1\xb1" + bytes(512)).reason
    assert problem(b"Subject:\n\n \n").rule == "empty_file"
    assert problem(body(b"x", "application/pkcs7-mime; smime-type=enveloped-data")).rule == "encrypted"
    assert problem(body(b"-----BEGIN PGP MESSAGE-----\n\nhQEM")).rule == "encrypted"
    assert problem(parts("multipart/encrypted", b"Content-Type: application/pgp-encrypted\n\nVersion: 1")).rule == "encrypted"


def test_a_mail_that_is_cut_off_is_read_and_noted() -> None:
    rows, _, notes = read(parts("multipart/mixed", text_part("whole"), text_part("ha"), close=False))
    assert rows[0]["text"] == "whole\n\nha\n"
    assert notes == ["ends before its last part does; it may be cut off"]
    assert row(b"Subject: s\nContent-Type: multipart/mixed; boundary=never\n\nthe text\n")["text"] == "the text\n"
    assert row(body(b"R3LDvMOfZQ", encoding="base64"))["text"] == "Grüße\n"
    assert row(body(b"R3LDvMOfZ", encoding="base64"))["text"].startswith("Grü")


def test_odd_wrappings_of_whole_mails() -> None:
    plain = "Subject: Grüße\nFrom: a@example.org\n\ntext\n"
    for data in (
        b"From a@example.org Sun Nov 22 08:00:00 2026\n" + plain.encode(),
        b"\xef\xbb\xbf" + plain.encode(),
        b"\r\n\r\n" + plain.encode(),
        plain.replace("\n", "\r\n").encode(),
        plain.replace("\n", "\r").encode(),
        plain.encode("utf-16"),
    ):
        found = row(data)
        assert (found["title"], found["sender"], found["text"]) == ("Grüße", "a@example.org", "text\n")


words = st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="\ufffd"), min_size=1, max_size=30)
names = st.lists(words.filter(lambda text: "=?" not in text), min_size=1, max_size=8).map(" ".join)
hosts = st.text(string.ascii_lowercase, min_size=1, max_size=8)


@settings(deadline=None, max_examples=100)
@given(
    subject=names,
    lines=st.lists(st.lists(words, max_size=10).map(" ".join), min_size=1, max_size=10),
    user=hosts,
    when=st.datetimes(datetime.datetime(1971, 1, 1), datetime.datetime(2100, 1, 1)),
    zone=st.integers(-12, 14),
    encoding=st.sampled_from(["base64", "quoted-printable", "8bit"]),
)
def test_mails_come_back_as_they_were_written(
    subject: str, lines: list[str], user: str, when: datetime.datetime, zone: int, encoding: str
) -> None:
    made = EmailMessage()
    made["From"] = f"{user}@example.org"
    when = when.replace(microsecond=0)
    made["Date"] = when.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=zone)))
    made.set_content("x" + "\n".join(lines) + "x", cte=encoding)
    found = row(f"Subject: {Header(subject, 'utf-8').encode()}\n".encode() + made.as_bytes())
    assert found["title"] == subject
    assert found["text"] == "x" + "\n".join(lines) + "x\n"
    assert found["sender"] == f"{user}@example.org"
    assert found["sent"] == when - datetime.timedelta(hours=zone)


TOKENS = st.sampled_from(
    [
        *(
            b"\n",
            b"\r\n",
            b"\n\n",
            b"--b",
            b"--b--",
            b"--",
            b" ",
            b"\t",
            b";",
            b'"',
            b"(",
            b"<",
            b">",
            b"@",
            b",",
            b"=",
            b"\xe4",
        ),
        *(b"Subject: ", b"From: ", b"To: ", b"Date: ", b"Message-ID: ", b"In-Reply-To: ", b"References: ", b"1 Jan 2026 1:1 "),
        *(b"Content-Type: ", b"multipart/mixed; boundary=b", b"multipart/alternative; boundary=b", b"message/rfc822"),
        *(
            b"text/html",
            b"text/plain; charset=",
            b"utf-7",
            b"utf-16",
            b"utf-8",
            b"hz",
            b"name*0*=x'y'%e4",
            b"filename*=",
            b"\0",
        ),
        *(
            b"Content-Transfer-Encoding: ",
            b"base64",
            b"quoted-printable",
            b"Content-Disposition: attachment; filename=",
            b"a.pdf",
        ),
        *(
            b"=?utf-8?q?=e4?=",
            b"=?utf-8?b?5",
            b"?=",
            b"<p>",
            b"</td>",
            b"<!--",
            b"&#0;",
            b"&#xd800;",
            b"9" * 5000,
            "ß".encode(),
        ),
    ]
)


@settings(deadline=None, max_examples=400)
@given(st.one_of(st.binary(max_size=300), st.lists(TOKENS, max_size=40).map(b"".join)), st.booleans())
def test_junk_gives_a_row_or_a_sentence(junk: bytes, headed: bool) -> None:
    try:
        rows, bad, notes = read(HEAD + junk if headed else junk)
    except FileProblem as error:
        assert "\n" not in error.reason
        return
    assert rows
    assert all("\n" not in sentence for sentence in [*notes, *(one.reason for one in bad)])
    for one in rows:
        for value in one.values():
            assert not isinstance(value, str) or value.encode().decode() == value
