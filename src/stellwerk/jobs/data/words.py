"""What this job names in English, in the reader's language: steps, rules, kinds of personal data that are not searched."""

from __future__ import annotations

from typing import Final

from stellwerk.report.words import Language

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


def named(name: str, language: Language = "en") -> str:
    """A step or rule in words."""
    return RULES.get(name, name) if language == "de" else name.replace("_duplicate", " duplicate")


def in_german(text: str) -> str:
    """A job, or a kind of personal data that is not searched, in German; what is not known stays as it is."""
    return GERMAN.get(text, text)
