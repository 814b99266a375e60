"""Does a text seem to be cut off? A heuristic for exports that end a ticket after so many characters.

Looks only at the end of the text: marks of a cut, function words of German and English that a text does not end
with, open brackets, and letters that no word ends with; and knows the ways in which a text ends without a full stop:
with a farewell, a signature, a company, an address. Knows no dictionary, so that a cut at the end of a sentence or
behind a word of a lone sentence is not seen, and counts other languages by the rules of these two.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stellwerk.text.characters import F64

TAIL = 300
"""Characters at the end of a text that are looked at."""
CUT, DOUBTFUL = 1.0, 0.5

_BEFORE_OTHERS = (
    "a als aber and as because bzw daß dass dem den der des die dies diese dieser dieses eine einem einen einer "
    "eines für if ihre ihren ihrer into mein meine meinen meiner my ob oder of or our seine seinen seiner sondern "
    "sowie than the their und unser unsere unseren vom von weil wenn whether which whose wir your zum zur "
    "zwischen"
)
FUNCTION_WORDS = frozenset(_BEFORE_OTHERS.split())
"""Words that stand before another word, without those that may end a sentence ("ich rufe Sie an", "what I ask for")."""

_LAST_LETTERS = (
    "ad ae af ag ah ak al am an ap ar as at au aw ax ay aß be bg bj bk bs bt bv by ce ch ck co cs ct cy da de dg "
    "dn do ds dt dv dy eb ed ee ef eg eh ei ek el em en ep er es et eu ev ew ex ey fe ff fg fo fs ft fv fy ge gg "
    "gh gn gs gt gv gy he hg hl hm hn hr hs ht hv hy ia ib ic id ie ig ik il im in ip ir is it iv ix iß ka ke kg "
    "ki ks kt ky la lb ld le lf lg li lk ll lm ln lo ls lt lv ly lz ma me mm mp ms mt my na nc nd ne ng ni nk nn "
    "no ns nt nv ny nz ob oc od of og oh ok ol om on op or os ot ow ox oy oß pe pf ph ps pt py ra rd re rf rg ri "
    "rk rm rn ro rs rt rv ry rz se sh sk sm sn sp ss st sy ta te tg th ti to tr ts tt tv ty tz ub ue uf ug uh ul "
    "um up ur us ut uß va ve wn ws xe xt xy yp ys ze zt zv äh är ät äß öl ös üh ün ür ße ßt"
)
ENDINGS = frozenset(_LAST_LETTERS.split())
"""Last two letters of German and English words: the pairs of letters that end at least 2 % of the different words which
hold them, counted in German laws, MDN in German, PEPs and PowerShell pages; and some of everyday words (Datei,
kurz)."""

_MARK_WORDS = r"truncated|gekürzt|abgeschnitten|cut|mehr|more|…|\.\.\."
_MARK = re.compile(rf"(?:…|\.\.\.|[\[(<](?:{_MARK_WORDS})[^\])>]{{0,30}}[\])>])$", re.IGNORECASE)
_OPEN_SIGN = re.compile(r"(?:[,(\[{&„‚]|\w[-‐‑])$")
_SMILEY = re.compile(r"[:;=8][-o']?[(\[{]")
_CLOSED = tuple(".!?:;\"'”“’‘»«›‹)]}>|*_`~#%€$。！？")
_LONG_PARAGRAPH = 80

_ABBREVIATIONS = (
    "co nr dr prof str tel fax bzw ca evtl ggf inkl zzgl st mr mrs ms vs no etc usw art abs abt bsp gem max min mio mrd "
    "rd sog vgl approx dept fig ref sec vol"
)
_MONTH = "jan|feb|mär|mar|apr|mai|may|jun|jul|aug|sep|okt|oct|nov|dez|dec"
_SENTENCE_END = re.compile(
    rf"(?<!\w)(?!(?:{_ABBREVIATIONS.replace(' ', '|')}|[^\W\d_])\.|\d\d?\.\s(?:{_MONTH}))"
    r"[\w/-]*[\w)\"'”“»%€/-][.!?][\"'”“»«)]*\s+\S",
    re.IGNORECASE,
)
_FAREWELL = re.compile(
    r"(?:mit\s)?(?:[^\W\d_]+\s){0,3}gr(?:ü|ue|u)(?:ß|ss)(?:e|en|chen|le)?\b(?!\w)"
    r"|(?:mfg|vg|lg|bg|hg|br|kr|rgds)\b[ ,!]*(?:\w+[ ]?){0,2}$|hochachtungsvoll|gezeichnet|gez\.|i\. ?[av]\."
    r"|(?:[^\W\d_]+\s){0,4}(?:regards|wishes|greetings)(?=\W*$|,|\s(?:from|to|and)\b)|(?:yours\b|sincerely|respectfully|cordially|cheers|ciao|tschüss)"
    r"|(?:(?:viel\w*|best\w*|herzlich\w*|schon mal|many|lieben)\s){0,2}(?:danke?|thanks|thank you|thx)"
    r"(?:\s(?:im|sehr|you|so|very|and|und|in|schon|vorab|voraus|vielmals|again|much|jetzt|advance)){0,4}[ ,!.]*$"
    r"|(?:(?:ich|wir|i|we|am|are)\s){0,2}(?:freuen?\b|look(?:ing)? forward\b)|bis (?:dann|bald|morgen|später)\b|see you\b"
    r"|(?:einen |noch einen )?schöne[ns]? (?:tag|abend|feierabend|wochenende)\b|have a (?:nice|good|great)\b",
    re.IGNORECASE,
)
_FAREWELL_CUT = re.compile(
    r"mit (?:freundlich|best|viel|lieb|schön|herzlich)\w*$"
    r"|(?:mit )?(?:freundlich|best|viel|lieb|schön|herzlich)\w* gr(?:[uü][eßs]?)?$"
    r"|(?:best|kind|warm) (?:re(?:g|ga|gar)?|wi(?:s|sh)?)$",
    re.IGNORECASE,
)
_LEGAL_FORM = re.compile(
    r"\b(?:g?GmbH|mbH|KGaA|KG|OHG|GbR|AG|UG|SE|e\. ?[KVG]\.?|e[KVG]"
    r"|Ltd|Limited|Inc|LLC|LLP|plc|PLC|Corp|Pty|BV|NV|SA|SARL|SRL)$"
)
_ADDRESS = re.compile(
    r"(?:\w(?:@|[ ]?[\[(](?:at|@)[\])][ ]?)[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,24}|(?:https?://|www\.)\S+|\+?\d[\d ()/-]{6,}\d"
    r"|\w(?:: |=)[ ]{0,2}[^\s@]*\d\S*)$"
)
"""A mail or web address, a long number, or the value of a field (`Serial: 4711-B`)."""
_SIGNATURE_LINES, _SIGNATURE_WORDS = 6, 9


def incomplete_ends(texts: pa.LargeStringArray) -> F64:
    """For each text 1 where it seems cut off, 0.5 where its last sentence only lacks its end, else 0.

    Args:
        texts: without nulls.

    Returns:
        Shape (n_docs,).
    """
    trimmed = pc.utf8_rtrim_whitespace(pc.utf8_slice_codeunits(texts, -TAIL, 1 << 62))
    return np.fromiter((incomplete_end(tail) for tail in trimmed.to_pylist()), np.float64, len(texts))


def incomplete_end(tail: str) -> float:
    """Judge the end of one text.

    Args:
        tail: the last characters of the text, without white space behind them.

    Returns:
        1 at a mark of a cut ("[gekürzt]", "…"), a hyphen, comma or opening bracket at the end, a bracket that is never
        closed, a function word, or a word whose last two letters end no German or English word; 0.5 where sentences
        with a full stop come before, but the last one has none; else 0. A farewell with the names below it, a company
        and an address are whole without a full stop.
    """
    if not tail or _SMILEY.search(tail, max(len(tail) - 3, 0)):
        return 0.0
    if _MARK.search(tail):
        return CUT
    paragraph = tail[tail.rfind("\n\n") + 1 :]
    if tail.endswith(_CLOSED):
        return CUT if _never_closed(paragraph) else 0.0
    if _ADDRESS.search(tail):
        return 0.0
    lines = [line.strip() for line in tail.split("\n") if line.strip()]
    if tail.endswith(",") and _farewell(lines[-1]):
        return 0.0  # "Thanks," without the name
    if _OPEN_SIGN.search(tail) or _never_closed(paragraph) or _FAREWELL_CUT.match(lines[-1]):
        return CUT
    if _signed(lines):
        return 0.0
    if _cut_word(tail):
        return CUT
    return DOUBTFUL if _lacks_end(lines, paragraph) else 0.0


def _never_closed(paragraph: str) -> bool:
    opened = paragraph.rfind("(")
    return opened > paragraph.rfind(")") and not _SMILEY.search(paragraph, max(opened - 2, 0), opened + 1)


def _signed(lines: list[str]) -> bool:
    """Tell that the last lines are a farewell and the names below it, or that the last one names a company."""
    if not _like_name(lines[-1]) and not _farewell(lines[-1]):
        return False
    if _LEGAL_FORM.search(lines[-1]):
        return True
    for line in reversed(lines[-_SIGNATURE_LINES:]):
        if _farewell(line):
            return lines[-1].rsplit(maxsplit=1)[-1].lower() not in FUNCTION_WORDS
        if not _like_name(line):
            return False
    return False


def _farewell(line: str) -> bool:
    return _FAREWELL.match(line) is not None and len(line.split()) <= _SIGNATURE_WORDS


def _like_name(line: str) -> bool:
    """Tell a line of names, offices and companies from one of a sentence: few words, most of them capitalised."""
    words = line.split()
    return len(words) <= _SIGNATURE_WORDS and 2 * _small_words(line) <= len(words) and not _SENTENCE_END.search(line)


def _small_words(line: str) -> int:
    return sum(word[0].islower() for word in line.split())


def _lacks_end(lines: list[str], paragraph: str) -> bool:
    """Tell that sentences with a full stop come before the last one, which has none."""
    last = lines[-1]
    if _SENTENCE_END.search(last):
        return len(paragraph) >= _LONG_PARAGRAPH
    before = lines[-2] if len(lines) > 1 else ""
    small = _small_words(last)
    prose = last[0].isupper() and small >= 2 and 5 * small >= 2 * len(last.split())
    return prose and before.endswith((".", "!", "?")) and _small_words(before) >= 2 and sum(map(len, lines)) >= _LONG_PARAGRAPH


def _cut_word(tail: str) -> bool:
    word = tail.rsplit(maxsplit=1)[-1].lstrip("\"'„»«“‚(")
    if word.lower() in FUNCTION_WORDS:
        return not word.isupper()
    plain = len(word) >= 4 and word.isalpha() and word[1:].islower()
    return plain and word[-2:] not in ENDINGS
