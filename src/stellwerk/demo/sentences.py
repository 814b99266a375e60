"""What the demo's report says in its own words, in English and German."""

from __future__ import annotations

from typing import Final

from stellwerk.report.words import Language

_SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "title": ("What Stellwerk made of a company's data", "Was Stellwerk aus den Daten einer Firma macht"),
    "subtitle": (
        "{company}, an invented machine maker: {tickets} letters to its support desk, a database, {articles} articles, "
        "{manuals} manuals and {mails} e-mails, with defects planted in known places.",
        "{company}, ein erfundener Maschinenbauer: {tickets} Zuschriften an den Kundendienst, eine Datenbank, {articles} "
        "Artikel, {manuals} Anleitungen und {mails} E-Mails, mit Fehlern, die an bekannten Stellen eingebaut sind.",
    ),
    "inventory": ("What the company has, and how it is read", "Was die Firma hat, und wie es gelesen wird"),
    "inventory_intro": (
        "What there is, and how many rows or documents were read of it; documents attached to e-mails count as well.",
        "Was da ist, und wie viele Zeilen oder Dokumente davon gelesen wurden; Dokumente an E-Mails zählen mit.",
    ),
    "thing": ("What", "Was"),
    "place": ("Where", "Wo"),
    "how": ("How it is read", "Wie es gelesen wird"),
    "count": ("There are", "Vorhanden"),
    "rows_read": ("Read", "Gelesen"),
    "thing_letters": ("letters to the support desk", "Zuschriften an den Kundendienst"),
    "thing_labels": ("labels of annotators", "Labels von Annotatoren"),
    "thing_replies": ("replies of the desk", "Antworten des Kundendienstes"),
    "thing_tickets": ("tickets in the database", "Tickets in der Datenbank"),
    "thing_customers": ("customers in the database", "Kunden in der Datenbank"),
    "thing_machines": ("machines in the database", "Maschinen in der Datenbank"),
    "thing_orders": ("orders in the database", "Aufträge in der Datenbank"),
    "thing_pages": ("help pages", "Hilfeseiten"),
    "thing_sheets": ("sheets of the handbook", "Blätter des Handbuchs"),
    "thing_manuals": ("manuals", "Anleitungen"),
    "thing_bulletins": ("service bulletins", "Technische Mitteilungen"),
    "thing_mails": ("e-mails", "E-Mails"),
    "thing_events": ("events of the process", "Ereignisse des Ablaufs"),
    "how_csv": ("csv, a file a month", "csv, eine Datei je Monat"),
    "how_jsonl": ("JSON lines, joined by key", "JSON-Zeilen, über den Schlüssel verbunden"),
    "how_query": ("SQL query, only what is new", "SQL-Abfrage, nur Neues"),
    "how_joined": ("by the query on tickets", "durch die Abfrage der Tickets"),
    "how_web": ("HTML, article only", "HTML, nur der Artikel"),
    "how_api": ("REST API, only what is new", "REST-Schnittstelle, nur Neues"),
    "how_documents": ("PDF, Word, HTML, Markdown", "PDF, Word, HTML, Markdown"),
    "how_table": ("SQL table", "SQL-Tabelle"),
    "how_mail": ("e-mail with attachments", "E-Mail mit Anhängen"),
    "how_pages": ("{how}; {pages} PDF pages", "{how}; {pages} PDF-Seiten"),
    "how_unread": ("not needed by a dataset", "von keinem Datensatz gebraucht"),
    "how_strategy": ("not read yet: strategy job", "noch nicht gelesen: Aufgabenfeld Strategie"),
    "read": ("Documents read", "Dokumente gelesen"),
    "kept": ("In the datasets", "In den Datensätzen"),
    "kept_note": ("{changed} of them changed", "davon {changed} geändert"),
    "dropped": ("Dropped", "Verworfen"),
    "dropped_note": ("each with step, rule, value and bound", "jedes mit Schritt, Regel, Wert und Grenze"),
    "found": ("Searched defects found", "Gesuchte Fehler gefunden"),
    "found_note": ("{found} of {planted}", "{found} von {planted}"),
    "alarms": ("False alarms", "Fehlalarme"),
    "alarms_note": ("sound things dropped, rewritten or masked", "Heiles verworfen, umgeschrieben oder maskiert"),
    "weakest_missed": (
        "{kind}: {count} of {of} planted ones were missed ({share}).",
        "{kind}: {count} von {of} eingebauten wurden übersehen ({share}).",
    ),
    "weakest_false": (
        "{kind}: {count} of the {of} that its rules touched were sound ({share}).",
        "{kind}: {count} von {of}, die ihre Regeln trafen, waren heil ({share}).",
    ),
    "weakest_none": (
        "Everything that was searched was found, and nothing sound was touched.",
        "Alles Gesuchte wurde gefunden, und nichts Heiles wurde getroffen.",
    ),
    "weakest_see": (
        "lists them with the reason, and the command that shows the whole way of each",
        "listet sie mit dem Grund und dem Befehl, der den ganzen Weg eines jeden zeigt",
    ),
    "table_intro": (
        "The generator wrote down every defect that it planted; the build knew nothing of that list.",
        "Der Generator hat jeden eingebauten Fehler notiert; die Verarbeitung kannte diese Liste nicht.",
    ),
    "table_note": (
        "False alarms are documents dropped by a rule of this kind in which nothing that should go was planted, sound "
        "texts that "
        "were rewritten, and findings of personal data that touch no planted value.",
        "Fehlalarme sind Dokumente, die eine Regel dieser Art verworfen hat, obwohl nichts Auszusonderndes eingebaut "
        "war, heile "
        "Texte, die umgeschrieben wurden, und Funde personenbezogener Daten, die keinen eingebauten Wert treffen.",
    ),
    "state": ("What was done", "Was geschah"),
    "searched": ("searched", "gesucht"),
    "no_search": ("not searched yet: {job} job", "noch nicht gesucht: Aufgabenfeld {job}"),
    "not_asked": ("not searched: the spec has no bound for it", "nicht gesucht: die Spezifikation hat keine Grenze dafür"),
    "left_out": ("left out on purpose, with its columns", "mit Absicht weggelassen, samt Spalten"),
    "below": ("kept on purpose: below the bound of the spec", "mit Absicht behalten: unter der Grenze der Spezifikation"),
    "flow": ("The way of the documents: {dataset}", "Der Weg der Dokumente: {dataset}"),
    "flow_intro": (
        "Every document that came in is kept, changed or dropped; the counts add up. The width is the number of documents.",
        "Jedes Dokument wird behalten, geändert oder verworfen; die Zahlen gehen auf. Die Breite ist die Zahl der Dokumente.",
    ),
    "ledger": ("What each step did: {dataset}", "Was jeder Schritt tat: {dataset}"),
    "ledger_note": (
        "A document may have been changed by several rules, and is dropped by the first that it fails.",
        "Ein Dokument kann von mehreren Regeln geändert werden; verworfen wird es von der ersten, die es verletzt.",
    ),
    "charts": ("Values and their bounds: {dataset}", "Werte und ihre Grenzen: {dataset}"),
    "charts_intro": (
        "Values of all documents that were read. A bound stands in the spec file and may be changed; only what depends "
        "on it is "
        "done again.",
        "Werte aller gelesenen Dokumente. Eine Grenze steht in der Spezifikation und lässt sich ändern; neu getan wird "
        "nur, was "
        "von ihr abhängt.",
    ),
    "robust": (
        "Upper bound: {bound} robust standard deviations from the median {median}.",
        "Obere Grenze: {bound} robuste Standardabweichungen vom Median {median}.",
    ),
    "personal_mask": ("masked", "maskiert"),
    "personal_drop": ("document dropped", "Dokument verworfen"),
    "not_searched": ("Personal data that nobody searched", "Personenbezogene Daten, die niemand gesucht hat"),
    "not_searched_intro": (
        "This version of Stellwerk has no search for these; they may stand in the datasets.",
        "Diese Version von Stellwerk sucht danach nicht; es kann in den Datensätzen stehen.",
    ),
    "time_note": ("on {cores} cores, from nothing", "auf {cores} Kernen, von null an"),
    "disk_note": ("{raw} of it the company's files", "davon {raw} die Dateien der Firma"),
    "network": ("Connections to other machines", "Verbindungen zu anderen Rechnern"),
    "network_note": (
        "watched: every attempt of Python's sockets in the demo's process, and open connections of it and its workers "
        "in {looks} "
        "looks",
        "beobachtet: jeder Versuch der Python-Sockets im Prozess der Demo sowie offene Verbindungen von ihr und ihren "
        "Hilfsprozessen, {looks}-mal nachgesehen",
    ),
    "network_note_sockets": (
        "watched: every attempt of Python's sockets in the demo's process",
        "beobachtet: jeder Versuch der Python-Sockets im Prozess der Demo",
    ),
    "network_own": (
        "; {own} more went to 127.0.0.1, the demo's own server, from which the handbook is read",
        "; {own} weitere gingen an 127.0.0.1, den eigenen Server der Demo, von dem das Handbuch gelesen wird",
    ),
    "network_local": ("; {local} to other ports of this machine", "; {local} an andere Ports dieses Rechners"),
    "next_company": (
        "the company's server alone, to build by hand",
        "nur der Server der Firma, um von Hand zu bauen",
    ),
    "next_missed": ("what was planted and missed, with the reason", "was eingebaut und übersehen wurde, mit dem Grund"),
    "next_explain": ("the whole way of one document", "der ganze Weg eines Dokuments"),
    "next_query": ("SQL on a dataset", "SQL auf einem Datensatz"),
    "next_show": ("what a version was made from", "woraus eine Version gemacht ist"),
    "next_profile": ("what is in a dataset", "was in einem Datensatz steht"),
    "next_test": ("the tests that the spec asks for", "die Prüfungen, die die Spezifikation verlangt"),
    "next_try": (
        "the same on a file of your own; nothing is changed",
        "dasselbe mit einer eigenen Datei; nichts wird verändert",
    ),
}  # fmt: skip

RULES: Final[dict[str, str]] = {
    "select": "auswählen",
    "outliers": "Ausreißer",
    "duplicates": "Dubletten",
    "normalise": "normalisieren",
    "personal": "personenbezogene Daten",
    "read": "lesen",
    "load": "laden",
    "words": "Wörter",
    "language": "Sprache",
    "base64_share": "kodierte Daten",
    "incomplete_end": "abgeschnitten",
    "exact_duplicate": "genaue Dublette",
    "near_duplicate": "ähnliche Dublette",
    "spaces": "Leerzeichen",
    "controls": "Steuerzeichen",
    "mojibake": "zerstörte Zeichen",
}
"""German names of steps and rules, as the ledger calls them; one that is not here keeps its name."""

GERMAN: Final[dict[str, str]] = {
    "data": "Daten",
    "ethics": "Ethik",
    "security": "Sicherheit",
    "strategy": "Strategie",
    "names of persons": "Namen von Personen",
    "postal addresses": "Postanschriften",
    "dates of birth": "Geburtsdaten",
    "user names and social media handles": "Benutzernamen und Namen in sozialen Netzen",
    "tax identification number (Steuer-ID)": "Steuer-Identifikationsnummer",
    "tax number (Steuernummer)": "Steuernummer",
    "VAT identification number": "Umsatzsteuer-Identifikationsnummer",
    "pension insurance number (Rentenversicherungsnummer)": "Rentenversicherungsnummer",
    "health insurance number (KVNR)": "Krankenversichertennummer (KVNR)",
    "identity card number": "Nummer des Personalausweises",
    "passport number": "Nummer des Reisepasses",
    "driving licence number": "Nummer des Führerscheins",
    "number plates": "Kennzeichen von Fahrzeugen",
    "national identifiers of other countries (AHV, SVNR, NHS, NINO, SSN and others)": "Personenkennzeichen anderer Länder "
    "(AHV, SVNR, NHS, NINO, SSN und andere)",
    "bank accounts that are not written as an IBAN": "Bankkonten, die nicht als IBAN geschrieben sind",
    "IP and MAC addresses": "IP- und MAC-Adressen",
    "locations": "Aufenthaltsorte",
    "health, religion and other special categories (GDPR Art. 9)": "Gesundheit, Religion und andere besondere Kategorien "
    "(DSGVO Art. 9)",
    "e-mail addresses written in words without brackets (name at company dot com)": "E-Mail-Adressen in Worten ohne Klammern "
    "(name ät firma punkt de)",
    "telephone numbers written in national form outside DE, AT, CH, GB and US": "Telefonnummern in nationaler Schreibweise "
    "außerhalb von DE, AT, CH, GB und US",
    "anything in images, sound or attached files": "alles in Bildern, Tönen oder angehängten Dateien",
}
"""German words for what other modules name in English."""


def say(key: str, language: Language = "en", **values: object) -> str:
    """A sentence with its values filled in."""
    return _SENTENCES[key][language == "de"].format(**values)


def named(name: str, language: Language = "en") -> str:
    """A step or rule in words."""
    return RULES.get(name, name) if language == "de" else name.replace("_duplicate", " duplicate")


def in_german(text: str) -> str:
    """A job, or a kind of personal data that is not searched, in German; what is not known stays as it is."""
    return GERMAN.get(text, text)
