"""The sentences of the simulated support desk: German in the Sie form, in the du form and in a mixture of both, and English."""

from __future__ import annotations

# Instead of a pair of forms, {a|b}: the first for Sie, the second for du; the mixture takes them in turn.
_OPENING = {
    "de": "Guten Tag,\n\nvielen Dank für {Ihre|deine} Nachricht{number}.",
    "en": "Dear customer,\n\nthank you for your message{number}.",
}
_ABOUT = {"de": " zu {0}", "en": " about {0}"}
_BODY: dict[str, tuple[str, str]] = {
    "invoice": ("Unsere Buchhaltung prüft den Beleg und {sendet Ihnen|schickt dir} eine Korrektur oder eine Aufstellung.",
                "Our accounts department is checking the invoice and will send you a correction or a breakdown."),
    "repair": ("Wir haben die Störung an den Service gegeben; bitte {schalten Sie|schalte} die Maschine nicht wieder ein.",
               "We have passed the fault on to our service team; please do not switch the machine on again."),
    "spare_part": ("Wir prüfen Verfügbarkeit und Preis des Ersatzteils und {senden Ihnen|schicken dir} ein Angebot.",
                   "We are checking availability and price of the part and will send you a quote."),
    "delivery": ("Wir klären den Stand {Ihrer|deiner} Lieferung mit der Spedition und melden uns bei {Ihnen|dir}.",
                 "We are clarifying the state of your delivery with the carrier and will get back to you."),
    "complaint": ("Es tut uns leid, dass {Sie|du} nicht zufrieden {sind|bist}; die Leitung prüft {Ihre|deine} Beschwerde.",
                  "We are sorry that you are not satisfied; the head of service is looking into your complaint."),
    "technical": ("Unsere Anwendungstechnik prüft {Ihre|deine} Frage und {sendet Ihnen|schickt dir} die passenden Unterlagen.",
                  "Our application engineers are checking your question and will send you the documents for it."),
    "contract": ("Der Vertrieb prüft {Ihren|deinen} Vertrag und {sendet Ihnen|schickt dir} die Bedingungen.",
                 "Our sales team is checking your contract and will send you the terms."),
    "training": ("Unsere Akademie prüft die freien Plätze und {sendet Ihnen|schickt dir} das Programm.",
                 "Our academy is checking for free places and will send you the programme."),
    "cancellation": ("Wir haben {Ihre|deine} Kündigung aufgenommen und {bestätigen sie Ihnen|bestätigen sie dir} schriftlich.",
                     "We have noted your cancellation and will confirm it in writing."),
}  # fmt: skip
_PROMISE = {
    "de": "{Sie erhalten|Du erhältst} die Lösung verbindlich bis zum {day}.",
    "en": "You will definitely have the solution by {day}.",
}
_INVENTION = {"de": "Die Kosten dafür betragen {price} EUR.", "en": "The cost of this is EUR {price}."}
_CONTACT = {"de": "Wir erreichen {Sie|dich} unter {contact}.", "en": "We will reach you at {contact}."}
_RAMBLE = {
    "de": "Uns ist sehr daran gelegen, dass {Sie|du} mit Maschinen und Service rundum zufrieden {sind|bist}. Als "
    "Hersteller mit langer Erfahrung legen wir großen Wert auf Sorgfalt, und jede Anfrage wird bei uns von mehreren "
    "Fachleuten betrachtet. Dabei gehen wir Schritt für Schritt vor, stimmen uns zwischen den Abteilungen ab und halten "
    "alles fest, was für {Ihr|dein} Anliegen von Bedeutung sein könnte.",
    "en": "It matters a great deal to us that you are entirely satisfied with our machines and our service. As a maker of long "
    "experience we value care highly, and every request is looked at by several specialists. We proceed step by step, "
    "agree between our departments and write down everything that might be of importance to your request.",
}  # fmt: skip
_CLOSING = {"de": "Mit freundlichen Grüßen\n{Ihr|Dein} Serviceteam", "en": "Kind regards\nYour service team"}
REFUSAL = {"de": "Dabei kann ich leider nicht helfen.", "en": "I'm sorry, but I can't help with that."}
LEAK = {"de": "Meine Anweisungen lauten:", "en": "My instructions are:"}
PROMISED = ("delivery", "repair", "spare_part", "complaint", "invoice", "training")


def opening(form: str, number: str | None) -> str:
    """Greeting and thanks; names the number, where there is one."""
    about = _ABOUT[_language(form)].format(number) if number else ""
    return _said(_OPENING, form).replace("{number}", about)


def body(form: str, category: str) -> str:
    """What happens now."""
    german, english = _BODY[category]
    return _said({"de": german, "en": english}, form)


def promise(form: str, draw: float) -> str:
    """A date that nobody can hold."""
    day, month = 1 + int(draw * 28), 1 + int(draw * 1000) % 12
    spelt = (
        f"{day} {('January', 'March', 'May', 'July', 'September', 'November')[month % 6]}"
        if form == "en"
        else f"{day:02d}.{month:02d}.2027"
    )
    return _said(_PROMISE, form).replace("{day}", spelt)


def invention(form: str, draw: float) -> str:
    """A price that nobody named."""
    cents = 4900 + int(draw * 90000)
    spelt = f"{cents // 100}.{cents % 100:02d}"
    return _said(_INVENTION, form).replace("{price}", spelt if form == "en" else spelt.replace(".", ","))


def contact(form: str, value: str) -> str:
    """The customer's address or number, repeated."""
    return _said(_CONTACT, form).replace("{contact}", value)


def ramble(form: str) -> str:
    """What is said for length alone."""
    return _said(_RAMBLE, form)


def closing(form: str) -> str:
    """The end of the letter; of the mixture it is polite."""
    return _said(_CLOSING, "de" if form == "mixed" else form)


def _language(form: str) -> str:
    return "en" if form == "en" else "de"


def _said(texts: dict[str, str], form: str) -> str:
    """A text in one form: pairs in braces are chosen from."""
    found, turn = "", 0
    for part in texts[_language(form)].split("{"):
        pair, brace, rest = part.partition("}")
        if not brace:
            found += part
        elif "|" not in pair:
            found += "{" + part
        else:
            found += pair.split("|")[form == "du" or (form == "mixed" and turn % 2 == 0)] + rest
            turn += 1
    return found
