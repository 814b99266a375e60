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
    "story": ("Signals and releases", "Signale und Freigaben"),
    "story_intro": (
        "The support assistant is released while all that its gates ask for is proven for exactly the versions that it binds.",
        "Der Assistent des Kundendienstes hat die Freigabe, solange alles, was seine Prüfpunkte verlangen, für genau die "
        "Versionen nachgewiesen ist, die er bindet.",
    ),
    "story_happened": ("What happened", "Was geschah"),
    "story_first": ("nothing is in the way: released as {release}", "nichts steht im Weg: Freigabe {release}"),
    "story_letter": (
        "a sentence is added to letter {letter}; the build makes {version}",
        "ein Satz kommt zur Zuschrift {letter} hinzu; der Bau ergibt {version}",
    ),
    "story_tested": (
        "{first} with the simulated model: {passed} of {n} cases pass ({low} to {high})",
        "{first} mit dem simulierten Modell: {passed} von {n} Fällen bestanden ({low} bis {high})",
    ),
    "story_refused": ("its promotion is refused by {why}", "die Kennung wird ihr verweigert durch {why}"),
    "story_shorter": (
        "the same task in few words, on the same cases: {difference} points ({low} to {high}), which says: {verdict}",
        "dieselbe Aufgabe in wenigen Worten, an denselben Fällen: {difference} Punkte ({low} bis {high}), das heißt: {verdict}",
    ),
    "story_found": (
        "{calls} calls find a better wording, {result}: {difference} points ({low} to {high}) on {n} cases that the search "
        "never saw; {before} tokens become {after}",
        "{calls} Aufrufe finden eine bessere Formulierung, {result}: {difference} Punkte ({low} bis {high}) an {n} Fällen, die "
        "die Suche nie sah; aus {before} Token werden {after}",
    ),
    "story_passes": (
        "with it {passed} of {n} cases pass ({low} to {high}), and {unwanted} of the answers are unwanted (at most {most})",
        "damit bestehen {passed} von {n} Fällen ({low} bis {high}), und {unwanted} der Antworten sind unerwünscht "
        "(höchstens {most})",
    ),
    "story_promoted": ("its alias moves, for that is proven: {alias}", "die Kennung wandert, denn das ist belegt: {alias}"),
    "story_judge": (
        "a model may judge answers now: on {n} that people had judged, it agrees with them by {agreement} beyond chance",
        "ein Modell darf nun Antworten bewerten: an {n}, die Menschen bewertet hatten, stimmt es über den Zufall hinaus "
        "zu {agreement} mit ihnen überein",
    ),
    "story_judge_not": (
        "no model may judge answers: on {n} that people had judged, it agrees with them by {agreement} beyond chance only",
        "kein Modell darf Antworten bewerten: an {n}, die Menschen bewertet hatten, stimmt es über den Zufall hinaus nur zu "
        "{agreement} mit ihnen überein",
    ),
    "story_simulated": (
        "the model is a simulated one: its answers are made up by a plan, so these numbers say nothing about a real model",
        "das Modell ist simuliert: ein Plan denkt sich seine Antworten aus; diese Zahlen sagen nichts über ein echtes Modell",
    ),
    "story_sentence": (
        "a sentence is added to the prompt, which becomes {prompt}: {sentence}",
        "ein Satz kommt zum Prompt hinzu, der damit {prompt} ist: {sentence}",
    ),
    "verdict_better": ("better", "besser"),
    "verdict_worse": ("worse", "schlechter"),
    "verdict_equivalent": ("as good", "gleich gut"),
    "verdict_not_worse": ("not worse", "nicht schlechter"),
    "verdict_undecided": ("cannot be told", "nicht zu sagen"),
    "story_told": ("{gate} on {subject}: {why}", "{gate} an {subject}: {why}"),
    "story_clear": (
        "{count} signals stay clear, for they concern other versions or what the build itself measured",
        "{count} Signale bleiben frei, denn sie betreffen andere Versionen oder das, was der Bau selbst gemessen hat",
    ),
    "story_mended": (
        "mend runs what is missing and nothing else: {command}",
        "mend führt aus, was fehlt, und sonst nichts: {command}",
    ),
    "story_release": (
        "released as {release}, with its dossier and its signature in {file}",
        "Freigabe {release}, mit Freigabeakte und Unterschrift in {file}",
    ),
    "story_genuine": (
        "another process, with no more than the fingerprint of the key, finds the file as it was signed",
        "ein anderer Prozess findet die Datei, allein mit dem Fingerabdruck des Schlüssels, so vor, wie sie unterschrieben ist",
    ),
    "story_false": ("the file is not as it was signed", "die Datei ist nicht so, wie sie unterschrieben wurde"),
    "story_tampered": (
        "with one byte of the dossier changed, the check says: {problem}",
        "ist ein Byte der Freigabeakte anders, sagt die Prüfung: {problem}",
    ),
    "next_serve": ("the pages, in a browser", "die Seiten, im Browser"),
    "next_signals": ("the signals of the systems", "die Signale der KI-Systeme"),
    "next_query": ("SQL on a dataset", "SQL auf einem Datensatz"),
    "next_show": ("what a version was made from", "woraus eine Version gemacht ist"),
    "next_profile": ("what is in a dataset", "was in einem Datensatz steht"),
    "next_test": ("the tests that the spec asks for", "die Prüfungen, die die Spezifikation verlangt"),
    "next_try": (
        "the same on a file of your own; nothing is changed",
        "dasselbe mit einer eigenen Datei; nichts wird verändert",
    ),
}  # fmt: skip


def say(key: str, language: Language = "en", **values: object) -> str:
    """A sentence with its values filled in."""
    return _SENTENCES[key][language == "de"].format(**values)
