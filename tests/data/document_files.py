"""Makers of real documents for tests and benchmarks: PDF, Word, PowerPoint, OpenDocument and e-mail, sound and hostile."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from xml.sax.saxutils import escape

import docx as word
import typst

Table = Sequence[Sequence[str]]

_FONTS = typst.Fonts(include_system_fonts=False)
_PAGE_BREAK = "\n#pagebreak()\n"
SIDE = "#set page(width: 14.8cm, height: 21cm, margin: 1.5cm)\n#set text(size: 11pt)\n"


def pdf(path: Path, pages: Sequence[str]) -> Path:
    """Write a PDF with a text layer, one page for each piece of typst markup (`= Heading`, `#table(columns: 2, [a], [b])`)."""
    path.write_bytes(_set(SIDE + _PAGE_BREAK.join(pages)))
    return path


def scanned_pdf(path: Path, texts: Sequence[str]) -> Path:
    """Write a PDF whose pages are pictures of texts, without a text layer."""
    return mixed_pdf(path, [(text, True) for text in texts])


def mixed_pdf(path: Path, pages: Sequence[tuple[str, bool]]) -> Path:
    """Write a PDF of pages (typst markup, whether it is only a picture)."""
    folder = path.parent / f".{path.name}.pages"
    folder.mkdir(exist_ok=True)
    markup, pictures = [], []
    for number, (text, pictured) in enumerate(pages):
        if pictured:
            picture = folder / f"{number}.png"
            picture.write_bytes(_picture(text))
            pictures.append(picture)
            markup.append(f'#page(margin: 0cm, image("{picture.name}", width: 100%, height: 100%))')
        else:
            markup.append(f"#page[\n{text}\n]")
    path.write_bytes(_set(SIDE + "\n".join(markup), folder))
    for picture in pictures:
        picture.unlink()
    folder.rmdir()
    return path


def _picture(text: str) -> bytes:
    made = typst.Compiler(font_paths=_FONTS, ignore_system_fonts=True).compile((SIDE + text).encode(), format="png", ppi=200)
    assert isinstance(made, bytes), "a page that is a picture must fit on one page"
    return made


def _set(markup: str, root: Path | None = None) -> bytes:
    compiler = typst.Compiler(root=root, font_paths=_FONTS, ignore_system_fonts=True)
    made = compiler.compile(markup.encode(), format="pdf")
    assert isinstance(made, bytes)
    return made


_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def locked_pdf(path: Path, password: str = "open sesame", text: str = "The secret page") -> Path:
    """Write a PDF that asks for a password: the standard security handler, revision 2 (RC4, 40 bits)."""
    identity, rights = b"0123456789abcdef", -4
    padded = (password.encode("latin-1") + _PADDING)[:32]
    owner = _rc4(_md5(padded)[:5], padded)
    key = _md5(padded + owner + rights.to_bytes(4, "little", signed=True) + identity)[:5]
    user = _rc4(key, _PADDING)
    page = f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET".encode("latin-1")
    sealed = _rc4(_md5(key + (4).to_bytes(3, "little") + b"\0\0")[:10], page)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(sealed), sealed),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Filter /Standard /V 1 /R 2 /P %d /O <%s> /U <%s> >>" % (rights, owner.hex().encode(), user.hex().encode()),
    ]
    trailer = b"/Root 1 0 R /Encrypt 6 0 R /ID [<%s> <%s>]" % ((identity.hex().encode(),) * 2)
    path.write_bytes(_pdf_of(objects, trailer))
    return path


def _pdf_of(objects: Sequence[bytes], trailer: bytes) -> bytes:
    out, places = io.BytesIO(), []
    out.write(b"%PDF-1.4\n")
    for number, content in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % place for place in places)
    out.write(b"trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start))
    return out.getvalue()


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def docx(path: Path, headings: Sequence[str], paragraphs: Sequence[str], table: Table = ()) -> Path:
    """Write a Word file: each heading with the paragraph of its number (further paragraphs follow the last), then a table."""
    document = word.Document()
    for number in range(max(len(headings), len(paragraphs))):
        if number < len(headings):
            document.add_heading(headings[number], 1)
        if number < len(paragraphs):
            document.add_paragraph(paragraphs[number])
    if table:
        grid = document.add_table(rows=0, cols=len(table[0]))
        for row in table:
            for cell, text in zip(grid.add_row().cells, row, strict=True):
                cell.text = text
    document.save(str(path))
    return path


def bomb_docx(path: Path, unpacked: int = 2 * 2**30) -> Path:
    """Write a Word file whose text unpacks to `unpacked` bytes of blanks."""
    blanks = b" " * 2**20
    with _with_document(path) as archive, archive.open("word/document.xml", "w", force_zip64=True) as target:
        target.write(f'<w:document xmlns:w="{_W}"><w:body><w:p><w:r><w:t xml:space="preserve">'.encode())
        for _ in range(unpacked // len(blanks)):
            target.write(blanks)
        target.write(b"</w:t></w:r></w:p></w:body></w:document>")
    return path


def entity_docx(path: Path, outside: str = "file:///etc/passwd") -> Path:
    """Write a Word file whose XML blows up by entities and names an entity outside of it."""
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    text = (
        f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY e0 "lol">{levels}<!ENTITY out SYSTEM "{outside}">]>'
        f'<w:document xmlns:w="{_W}"><w:body><w:p><w:r><w:t>before</w:t></w:r></w:p>'
        "<w:p><w:r><w:t>&e9;</w:t></w:r></w:p><w:p><w:r><w:t>&out;</w:t></w:r></w:p></w:body></w:document>"
    )
    with _with_document(path) as archive:
        archive.writestr("word/document.xml", text)
    return path


_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def _with_document(path: Path) -> zipfile.ZipFile:
    """A Word file without its document, open for it to be added."""
    whole = io.BytesIO()
    word.Document().save(whole)
    archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(whole) as template:
        for name in template.namelist():
            if name != "word/document.xml":
                archive.writestr(name, template.read(name))
    return archive


_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_P = "http://schemas.openxmlformats.org/presentationml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_GROUP = (
    '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr><a:xfrm><a:off x="0" y="0"/>'
    '<a:ext cx="0" cy="0"/><a:chOff x="0" y="0"/><a:chExt cx="0" cy="0"/></a:xfrm></p:grpSpPr>'
)
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def pptx(path: Path, slides: Sequence[tuple[str, Sequence[str]]]) -> Path:
    """Write a PowerPoint file of slides (title, lines)."""
    numbers = range(1, len(slides) + 1)
    kind = "application/vnd.openxmlformats-officedocument.presentationml."
    parts = {
        "ppt/presentation.xml": "presentation.main",
        "ppt/slideMasters/slideMaster1.xml": "slideMaster",
        "ppt/slideLayouts/slideLayout1.xml": "slideLayout",
    } | {f"ppt/slides/slide{n}.xml": "slide" for n in numbers}
    overrides = "".join(f'<Override PartName="/{name}" ContentType="{kind}{what}+xml"/>' for name, what in parts.items())
    overrides += (
        '<Override PartName="/ppt/theme/theme1.xml" ContentType="application/vnd.openxmlformats-officedocument.theme+xml"/>'
    )
    listed = "".join(f'<p:sldId id="{255 + n}" r:id="rId{n + 1}"/>' for n in numbers)
    to_slides = [("slideMaster", "slideMasters/slideMaster1.xml"), *(("slide", f"slides/slide{n}.xml") for n in numbers)]
    layout, theme = ("slideLayout", "../slideLayouts/slideLayout1.xml"), ("theme", "../theme/theme1.xml")
    files = {
        "[Content_Types].xml": f'<Types xmlns="{_TYPES}"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
        f"{overrides}</Types>",
        "_rels/.rels": _related([("officeDocument", "ppt/presentation.xml")]),
        "ppt/presentation.xml": f'<p:presentation xmlns:a="{_A}" xmlns:r="{_R}" xmlns:p="{_P}"><p:sldMasterIdLst>'
        f'<p:sldMasterId id="2147483648" r:id="rId1"/></p:sldMasterIdLst><p:sldIdLst>{listed}</p:sldIdLst>'
        '<p:sldSz cx="9144000" cy="6858000"/><p:notesSz cx="6858000" cy="9144000"/></p:presentation>',
        "ppt/_rels/presentation.xml.rels": _related(to_slides),
        "ppt/slideMasters/slideMaster1.xml": _slide("sldMaster", "", _MASTER),
        "ppt/slideMasters/_rels/slideMaster1.xml.rels": _related([layout, theme]),
        "ppt/slideLayouts/slideLayout1.xml": _slide("sldLayout", ""),
        "ppt/slideLayouts/_rels/slideLayout1.xml.rels": _related([("slideMaster", "../slideMasters/slideMaster1.xml")]),
        "ppt/theme/theme1.xml": _theme(),
    }
    for number, (title, lines) in enumerate(slides, 1):
        files[f"ppt/slides/slide{number}.xml"] = _slide("sld", _shape(2, "title", [title]) + _shape(3, "body", lines))
        files[f"ppt/slides/_rels/slide{number}.xml.rels"] = _related([layout])
    _zip(path, {name: _XML + content for name, content in files.items()})
    return path


_COLORS = ("dk1", "lt1", "dk2", "lt2", *(f"accent{n}" for n in range(1, 7)), "hlink", "folHlink")
_MASTER = (
    '<p:clrMap bg1="lt1" tx1="dk1" bg2="lt2" tx2="dk2" '
    + " ".join(f'{name}="{name}"' for name in _COLORS[4:])
    + '/><p:sldLayoutIdLst><p:sldLayoutId id="2147483649" r:id="rId1"/></p:sldLayoutIdLst>'
)


def _related(targets: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f'<Relationship Id="rId{n}" Type="{_R}/{kind}" Target="{to}"/>' for n, (kind, to) in enumerate(targets, 1))
    return f'<Relationships xmlns="{_RELATIONS}">{rows}</Relationships>'


def _slide(tag: str, shapes: str, after: str = "") -> str:
    return (
        f'<p:{tag} xmlns:a="{_A}" xmlns:r="{_R}" xmlns:p="{_P}"><p:cSld><p:spTree>{_GROUP}{shapes}</p:spTree></p:cSld>'
        f"{after}</p:{tag}>"
    )


def _shape(number: int, kind: str, lines: Sequence[str]) -> str:
    text = "".join(f'<a:p><a:r><a:rPr lang="de-DE"/><a:t>{escape(line)}</a:t></a:r></a:p>' for line in lines) or "<a:p/>"
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="{kind}"/><p:cNvSpPr/><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>'
        f'<p:spPr><a:xfrm><a:off x="457200" y="{number * 900000}"/><a:ext cx="8229600" cy="900000"/></a:xfrm></p:spPr>'
        f"<p:txBody><a:bodyPr/>{text}</p:txBody></p:sp>"
    )


def _theme() -> str:
    colors = "".join(f'<a:{name}><a:srgbClr val="{n * 1118481 % 2**24:06X}"/></a:{name}>' for n, name in enumerate(_COLORS))
    font = '<a:latin typeface="Liberation Sans"/><a:ea typeface=""/><a:cs typeface=""/>'
    fill = '<a:solidFill><a:schemeClr val="phClr"/></a:solidFill>'
    return (
        f'<a:theme xmlns:a="{_A}" name="plain"><a:themeElements><a:clrScheme name="plain">{colors}</a:clrScheme>'
        f'<a:fontScheme name="plain"><a:majorFont>{font}</a:majorFont><a:minorFont>{font}</a:minorFont></a:fontScheme>'
        f'<a:fmtScheme name="plain"><a:fillStyleLst>{fill * 3}</a:fillStyleLst><a:lnStyleLst>{f"<a:ln>{fill}</a:ln>" * 3}'
        f"</a:lnStyleLst><a:effectStyleLst>{'<a:effectStyle><a:effectLst/></a:effectStyle>' * 3}</a:effectStyleLst>"
        f"<a:bgFillStyleLst>{fill * 3}</a:bgFillStyleLst></a:fmtScheme></a:themeElements></a:theme>"
    )


_ODF = "urn:oasis:names:tc:opendocument:xmlns:"


def odt(path: Path, headings: Sequence[str], paragraphs: Sequence[str], table: Table = ()) -> Path:
    """Write an OpenDocument text: each heading with the paragraph of its number, then a table."""
    body = ""
    for number in range(max(len(headings), len(paragraphs))):
        if number < len(headings):
            body += f'<text:h text:outline-level="1">{escape(headings[number])}</text:h>'
        if number < len(paragraphs):
            body += f"<text:p>{escape(paragraphs[number])}</text:p>"
    if table:
        cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
        rows = "".join(
            f"<table:table-row>{''.join(cell.format(escape(text)) for text in row)}</table:table-row>" for row in table
        )
        width = f'<table:table-column table:number-columns-repeated="{len(table[0])}"/>'
        body += f'<table:table table:name="T1">{width}{rows}</table:table>'
    names = " ".join(f'xmlns:{name}="{_ODF}{name}:1.0"' for name in ("office", "text", "table"))
    kind = "application/vnd.oasis.opendocument.text"
    manifest = "".join(
        f'<manifest:file-entry manifest:full-path="{name}" manifest:media-type="{what}"/>'
        for name, what in (("/", kind), ("content.xml", "text/xml"))
    )
    files = {
        "mimetype": kind,
        "content.xml": f'{_XML}<office:document-content {names} office:version="1.2"><office:body><office:text>{body}'
        "</office:text></office:body></office:document-content>",
        "META-INF/manifest.xml": f'{_XML}<manifest:manifest xmlns:manifest="{_ODF}manifest:1.0" manifest:version="1.2">'
        f"{manifest}</manifest:manifest>",
    }
    _zip(path, files)
    return path


def _zip(path: Path, files: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            packing = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(name, (2026, 11, 22, 8, 0, 0)), content.encode(), packing)


def mail(
    text: str | None = "Guten Tag,\n\ndie Presse steht.\n",
    html: str | None = None,
    attachments: Sequence[tuple[str, str, bytes]] = (),
    inside: Sequence[EmailMessage] = (),
    **headers: str,
) -> EmailMessage:
    """Make a mail; write it with `path.write_bytes(mail(...).as_bytes())`.

    Args:
        text: the plain body; None for none.
        html: the HTML body; with `text` an alternative of it.
        attachments: name, content type, bytes.
        inside: mails that are attached to it.
        headers: as `Subject="..."`; `_` in a name stands for `-`. Those left out get a value; an empty one is left out.

    Returns:
        The message.
    """
    made = EmailMessage()
    known = {"Subject": "Störung", "From": "Erika Muster <erika@example.org>", "To": "support@example.org"}
    known |= {"Date": "Sun, 22 Nov 2026 09:30:00 +0100", "Message_ID": "<1@example.org>"}
    for name, value in (known | headers).items():
        if value:
            made[name.replace("_", "-")] = value
    if text is not None:
        made.set_content(text)
    if html is not None and text is not None:
        made.add_alternative(html, subtype="html")
    elif html is not None:
        made.set_content(html, subtype="html")
    for name, kind, data in attachments:
        main, sub = kind.split("/")
        made.add_attachment(data, main, sub, filename=name)
    for inner in inside:
        made.add_attachment(inner)
    return made
