"""The words of the dossier in English and German.

Sentences say what the record holds. None says that a law is kept, and none is written where there is no fact.
"""

from __future__ import annotations

from typing import Final

from stellwerk.report.words import Language, word

_SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "title": ("Release dossier {release}", "Freigabeakte {release}"),
    "subtitle": ("{purpose} Released on {date} by {person}.", "{purpose} Freigegeben am {date} von {person}."),
    "may_run": ("May it run?", "Darf es laufen?"),
    "yes": ("Yes", "Ja"),
    "yes_note": ("in exactly the versions named here", "in genau den hier genannten Versionen"),
    "yes_waived": ("with waivers, in exactly the versions named here", "mit befristeten Ausnahmen, in genau den hier genannten "
                   "Versionen"),
    "clear_gates": ("Gates that are clear", "Prüfpunkte, die frei sind"),
    "of_gates": ("of {count}", "von {count}"),
    "waivers": ("Waivers", "Befristete Ausnahmen"),
    "findings_open": ("Open findings", "Offene Befunde"),
    "verdict": ("The decision", "Die Entscheidung"),
    "verdict_clear": (
        "{system} may run in the versions named here: each gate that blocks is clear.",
        "{system} darf in den hier genannten Versionen laufen: Jeder Prüfpunkt, der sperrt, ist frei.",
    ),
    "verdict_waived": (
        "{system} may run in the versions named here. Waivers let {waived} of {gates} signals pass.",
        "{system} darf in den hier genannten Versionen laufen. Befristete Ausnahmen lassen {waived} von {gates} Signalen "
        "passieren.",
    ),
    "meaning": (
        "Clear means that the gates that you set are met. This dossier is no legal advice and no certificate.",
        "Frei heißt, dass die von Ihnen gesetzten Prüfpunkte erfüllt sind. Diese Akte ist keine Rechtsberatung und kein "
        "Zertifikat.",
    ),
    "changes_darken": (
        "If one of these versions changes, this decision does not hold for the new one.",
        "Ändert sich eine dieser Versionen, gilt diese Entscheidung für die neue nicht.",
    ),
    "note": ("Note of the releaser: {note}", "Anmerkung zur Freigabe: {note}"),
    "weak": ("What is weak", "Was schwach ist"),
    "weak_none": (
        "No waiver, no caution, no open finding, no gate changed or left out, and every signature authenticated.",
        "Keine befristete Ausnahme, keine Vorsicht, kein offener Befund, kein Prüfpunkt geändert oder weggelassen, jede "
        "Unterschrift authentifiziert.",
    ),
    "weak_ungated": (
        "No gate concerns this system, so nothing about it is proven.",
        "Kein Prüfpunkt betrifft dieses System; es ist also nichts nachgewiesen.",
    ),
    "weak_waiver": (
        "{gate}, {asset}: passes by a waiver of {person} until {until}. Reason: {reason}",
        "{gate}, {asset}: passiert mit befristeter Ausnahme von {person} bis {until}. Grund: {reason}",
    ),
    "weak_signal": ("{gate}, {subject}: {state}, {reason}", "{gate}, {subject}: {state}, {reason}"),
    "weak_findings": (
        "{count} findings are open, {severe} of them high or critical.",
        "{count} Befunde sind offen, davon {severe} hoch oder kritisch.",
    ),
    "weak_finding": ("1 finding is open: {title}", "1 Befund ist offen: {title}"),
    "weak_settled": (
        "A finding of high or critical severity is {status}: {title} Decided by {person}, until {until}: {reason}",
        "Ein Befund von hoher oder kritischer Schwere ist {status}: {title} Entschieden von {person}, bis {until}: {reason}",
    ),
    "service": ("Bought: {ref}", "Zugekauft: {ref}"),
    "service_intro": ("As its file in the workspace says.", "So steht es in seiner Datei im Arbeitsbereich."),
    "data_there": ("data that go there", "Daten, die dorthin gehen"),
    "no_end": ("no end", "ohne Ende"),
    "weak_oldest": ("The oldest measurement is of {date}: {gate}.", "Die älteste Messung ist vom {date}: {gate}."),
    "weak_fewest": (
        "The fewest cases that a measurement rests on are {n}: {gate}.",
        "Die wenigsten Fälle, auf denen eine Messung beruht, sind {n}: {gate}.",
    ),
    "weak_overrides": (
        "Default gates that were changed or are not required: {count}. The reasons stand below.",
        "Vorgegebene Prüfpunkte, die geändert wurden oder nicht verlangt werden: {count}. Die Gründe stehen unten.",
    ),
    "weak_tainted": (
        "{version} was made from rows that were erased since.",
        "{version} ist von Löschung betroffen.",
    ),
    "weak_unproven": (
        "Not authenticated: {count} of {all} signatures and decisions. There the name is what the person gave.",
        "Nicht authentifiziert: {count} von {all} Unterschriften und Entscheidungen. Dort ist der Name, was die Person angab.",
    ),
    "signed": ("Who signed", "Wer unterschrieben hat"),
    "role": ("Role", "Rolle"),
    "person": ("Person", "Person"),
    "proof": ("Identity", "Identität"),
    "authenticated": ("authenticated", "authentifiziert"),
    "unproven": ("not authenticated", "nicht authentifiziert"),
    "on": ("On", "Am"),
    "until": ("Until", "Bis"),
    "reason": ("Reason", "Grund"),
    "releaser": ("made the release", "hat die Freigabe erteilt"),
    "system": ("The AI system", "Das KI-System"),
    "fact": ("Fact", "Angabe"),
    "what": ("", ""),
    "name": ("Name", "Name"),
    "purpose": ("Purpose", "Zweck"),
    "owner": ("Owner", "Verantwortlich"),
    "decided_by": ("Decided by", "Entschieden von"),
    "role_act": ("Role under the AI Act", "Rolle nach KI-Verordnung"),
    "provider": ("provider", "Anbieter"),
    "deployer": ("deployer", "Betreiber"),
    "both": ("provider and deployer", "Anbieter und Betreiber"),
    "users": ("Who uses it, and whom it concerns", "Wer es benutzt und wen es betrifft"),
    "oversight": ("How people watch over it", "Wie Menschen es beaufsichtigen"),
    "high_risk": ("High-risk under the AI Act", "Hochrisiko nach KI-Verordnung"),
    "no": ("No", "Nein"),
    "declared": ("as declared by the owner", "nach Angabe der Verantwortlichen"),
    "description": ("Description", "Beschreibung"),
    "versions": ("Versions", "Versionen"),
    "versions_intro": (
        "What runs is bound by the system's file. Everything else is what it was made from.",
        "Was läuft, bindet die Datei des Systems. Alles Übrige ist, woraus es gemacht wurde.",
    ),
    "bound_as": ("Bound as", "Gebunden als"),
    "created": ("Created", "Entstanden"),
    "digest": ("Digest (SHA-256)", "Prüfsumme (SHA-256)"),
    "lineage": ("Lineage", "Herkunft und Verwendung"),
    "gates": ("Gates and evidence", "Prüfpunkte und Nachweise"),
    "gates_note": (
        "The latest complete measurement counts, not the best. Attempts are the complete measurements of just these versions.",
        "Es zählt die letzte vollständige Messung, nicht die beste. Versuche sind die vollständigen Messungen genau dieser "
        "Versionen.",
    ),
    "sets": ("Sets of default gates: {sets}.", "Sätze vorgegebener Prüfpunkte: {sets}."),
    "traces": ("Where the evidence lies", "Wo die Nachweise liegen"),
    "metric": ("Metric", "Messgröße"),
    "run": ("Run", "Lauf"),
    "subjects": ("Measured on", "Gemessen an"),
    "instruments": ("With", "Womit"),
    "asset": ("Asset", "Baustein"),
    "finding": ("Finding", "Befund"),
    "findings": ("Findings", "Befunde"),
    "severity": ("Severity", "Schwere"),
    "severity_critical": ("critical", "kritisch"),
    "severity_high": ("high", "hoch"),
    "severity_medium": ("medium", "mittel"),
    "severity_low": ("low", "gering"),
    "severity_info": ("info", "Hinweis"),
    "status": ("Status", "Stand"),
    "status_open": ("open", "offen"),
    "status_accepted": ("accepted", "in Kauf genommen"),
    "status_mitigated": ("mitigated", "behoben"),
    "overrides": ("Default gates that were changed or left out", "Vorgegebene Prüfpunkte, geändert oder weggelassen"),
    "change": ("Change", "Änderung"),
    "not_required": ("not required", "nicht verlangt"),
    "none": ("None.", "Keine."),
    "earlier": (
        "Release {number} of this system; the one before it has the digest {digest}.",
        "Freigabe {number} dieses Systems; die vorige hat die Prüfsumme {digest}.",
    ),
    "first": ("The first release of this system.", "Die erste Freigabe dieses Systems."),
    "footer_key": (
        "Candidate {candidate}. Signed with Ed25519, fingerprint of the key (SHA-256): {key}.",
        "Freigabekandidat {candidate}. Unterschrieben mit Ed25519, Fingerabdruck des Schlüssels (SHA-256): {key}.",
    ),
    "footer_anchor": (
        "Record {record}, entry {seq} of its journal. Check the exported release with: stellwerk release verify FILE",
        "Nachweisspeicher {record}, Eintrag {seq} seines Protokolls. Die ausgeführte Freigabe prüft: stellwerk release verify "
        "DATEI",
    ),
    "job_data": ("Data", "Daten"),
    "job_prompts": ("Prompts", "Prompts"),
    "job_models": ("Models", "Modelle"),
    "job_training": ("Training", "Training"),
    "job_security": ("Security", "Sicherheit"),
    "job_ethics": ("Ethics and compliance", "Ethik und Regeln"),
    "job_cloud": ("Cloud", "Cloud"),
    "job_strategy": ("Strategy", "Strategie"),
    # The data record
    "data": ("Data record: {ref}", "Datenblatt: {ref}"),
    "data_intro": (
        "The points follow Art. 10(2) of the AI Act. What is written is what the record holds.",
        "Die Punkte folgen Art. 10 Abs. 2 der KI-Verordnung. Es steht nur da, was der Nachweisspeicher enthält.",
    ),
    "point": ("Point", "Punkt"),
    "known": ("What is known", "Was bekannt ist"),
    "art10_a": ("(a) Design choices", "a) Konzeptionelle Entscheidungen"),
    "art10_b": ("(b) Collection, origin, original purpose", "b) Erhebung, Herkunft, ursprünglicher Zweck"),
    "art10_c": ("(c) Preparation operations", "c) Aufbereitungsvorgänge"),
    "art10_d": ("(d) Assumptions", "d) Annahmen"),
    "art10_e": ("(e) Availability, quantity, suitability", "e) Verfügbarkeit, Menge, Eignung"),
    "art10_f": ("(f) Examination for bias", "f) Untersuchung auf Verzerrungen"),
    "art10_g": ("(g) Measures against bias", "g) Maßnahmen gegen Verzerrungen"),
    "art10_h": ("(h) Gaps and shortcomings", "h) Lücken und Mängel"),
    "said_purpose": ("Purpose: {text}.", "Zweck: {text}."),
    "said_languages": ("Languages expected: {text}.", "Erwartete Sprachen: {text}."),
    "said_sources": ("Sources, listed below: {count}.", "Quellen, unten aufgeführt: {count}."),
    "said_steps": (
        "Rules that changed or dropped documents, listed below: {count}.",
        "Regeln, die Dokumente änderten oder verwarfen, unten aufgeführt: {count}.",
    ),
    "said_counts": (
        "{read} documents read, {kept} kept unchanged, {changed} changed, {dropped} dropped.",
        "{read} Dokumente gelesen, {kept} unverändert behalten, {changed} geändert, {dropped} verworfen.",
    ),
    "said_splits": ("Parts: {text}.", "Teile: {text}."),
    "said_found_languages": ("Languages found: {text}.", "Gefundene Sprachen: {text}."),
    "said_gate": ("{gate}: {state}, {value}.", "{gate}: {state}, {value}."),
    "sources_of": ("Sources of {ref}", "Quellen von {ref}"),
    "ledger_of": ("Preparation of {ref}", "Aufbereitung von {ref}"),
    "personal_of": ("Personal data in {ref}", "Personenbezogene Daten in {ref}"),
    "action_mask": ("masked", "maskiert"),
    "action_keep": ("kept as they are", "unverändert behalten"),
    "action_drop": ("documents dropped", "Dokumente verworfen"),
    # GDPR
    "art30": ("Entry for the record of processing (GDPR Art. 30)", "Eintrag für das Verarbeitungsverzeichnis (Art. 30 DSGVO)"),
    "art30_intro": (
        "A draft from facts, for whoever keeps that record. It concerns: {refs}.",
        "Ein Entwurf aus Tatsachen für die Stelle, die das Verzeichnis führt. Er betrifft: {refs}.",
    ),
    "art30_owner": (
        "owner of the system: {owner}; contact of the controller: {unknown}",
        "verantwortlich für das System: {owner}; Kontakt des Verantwortlichen: {unknown}",
    ),
    "art30_a": ("(a) Controller and contact", "a) Verantwortlicher und Kontakt"),
    "art30_b": ("(b) Purposes", "b) Zwecke"),
    "art30_c": ("(c) Data subjects", "c) Betroffene Personen"),
    "art30_c2": ("(c) Categories of personal data", "c) Kategorien personenbezogener Daten"),
    "art30_d": ("(d) Recipients", "d) Empfänger"),
    "art30_e": ("(e) Transfers to third countries", "e) Übermittlung in Drittländer"),
    "art30_f": ("(f) Time limits for erasure", "f) Fristen für die Löschung"),
    "art30_g": ("(g) Security measures", "g) Sicherheitsmaßnahmen"),
    "basis": ("Legal basis", "Rechtsgrundlage"),
    "delete_by": ("to be deleted by {date}", "zu löschen bis {date}"),
    "done_to": ("{ref}: {action}", "{ref}: {action}"),
    "found_kinds": ("found by the search: {kinds}", "von der Suche gefunden: {kinds}"),
    "not_searched_kinds": (
        "kinds that were not searched, listed with the datasets: {count}",
        "nicht gesuchte Arten, bei den Datensätzen aufgeführt: {count}",
    ),
    "art35": (
        "Screening for an impact assessment (GDPR Art. 35)",
        "Vorprüfung einer Datenschutz-Folgenabschätzung (Art. 35 DSGVO)",
    ),
    "art35_intro": (
        "The facts that bear on it. Whether an assessment is needed is for a person to decide.",
        "Die Tatsachen dazu. Ob eine Folgenabschätzung nötig ist, entscheidet ein Mensch.",
    ),
    "question": ("Question", "Frage"),
    "art35_scale": ("How many documents hold personal data?", "Wie viele Dokumente enthalten personenbezogene Daten?"),
    "art35_scale_fact": ("{ref}: {documents} of {read} read", "{ref}: {documents} von {read} gelesenen"),
    "art35_kinds": ("Which kinds were found?", "Welche Arten wurden gefunden?"),
    "art35_special": (
        "Special categories (Art. 9), or data on convictions (Art. 10)?",
        "Besondere Kategorien (Art. 9) oder Daten über Verurteilungen (Art. 10)?",
    ),
    "art35_profiling": (
        "Systematic evaluation of persons, with decisions that affect them (Art. 35(3)(a))?",
        "Systematische Bewertung von Personen mit Entscheidungen, die sie betreffen (Art. 35 Abs. 3 Buchst. a)?",
    ),
    "art35_public": (
        "Systematic monitoring of a public area (Art. 35(3)(c))?",
        "Systematische Überwachung öffentlicher Bereiche (Art. 35 Abs. 3 Buchst. c)?",
    ),
    "art35_technology": ("New technology (Art. 35(1))?", "Neue Technologie (Art. 35 Abs. 1)?"),
    "art35_ai": ("It is an AI system.", "Es ist ein KI-System."),
    "art35_risk": ("High-risk under the AI Act?", "Hochrisiko nach KI-Verordnung?"),
    # Annex IV
    "annex": ("Technical documentation (AI Act, Annex IV)", "Technische Dokumentation (KI-Verordnung, Anhang IV)"),
    "annex_intro": (
        "The nine points, with what the record holds on each. The system is declared high-risk.",
        "Die neun Punkte mit dem, was der Nachweisspeicher dazu enthält. Das System ist als Hochrisiko-KI-System angegeben.",
    ),
    "annex_1": ("1. General description", "1. Allgemeine Beschreibung"),
    "annex_2": ("2. Elements and development", "2. Bestandteile und Entwicklung"),
    "annex_3": ("3. Monitoring, functioning, control", "3. Überwachung, Funktionsweise, Kontrolle"),
    "annex_4": ("4. Appropriateness of the performance metrics", "4. Eignung der Leistungskennzahlen"),
    "annex_5": ("5. Risk management system (Art. 9)", "5. Risikomanagementsystem (Art. 9)"),
    "annex_6": ("6. Changes through the lifecycle", "6. Änderungen während des Lebenszyklus"),
    "annex_7": ("7. Harmonised standards applied", "7. Angewandte harmonisierte Normen"),
    "annex_8": ("8. EU declaration of conformity", "8. EU-Konformitätserklärung"),
    "annex_9": ("9. Post-market monitoring (Art. 72)", "9. Beobachtung nach dem Inverkehrbringen (Art. 72)"),
    "annex_versions": (
        "{bound} versions are bound, {all} in all with what they were made from; see versions, lineage and data record.",
        "{bound} Versionen sind gebunden, {all} insgesamt mit dem, woraus sie gemacht wurden; siehe Versionen, Herkunft und "
        "Datenblatt.",
    ),
    "annex_metrics": (
        "{count} gates measure: {metrics}. Why these were chosen: {unknown}.",
        "{count} Prüfpunkte messen: {metrics}. Warum diese gewählt wurden: {unknown}.",
    ),
}  # fmt: skip


def say(key: str, language: Language, /, **values: object) -> str:
    """A sentence with its values filled in."""
    return _SENTENCES[key][language == "de"].format(**values)


def unknown(language: Language) -> str:
    """What stands where there is no fact."""
    return word("unknown", language)


def job(name: str, language: Language) -> str:
    """What a job is called."""
    return say(key, language) if (key := f"job_{name}") in _SENTENCES else name


def proof(authenticated: bool, language: Language) -> str:
    """Whether a door has proven who a person is."""
    return say("authenticated" if authenticated else "unproven", language)


def either(key: str, language: Language) -> str:
    """The word for a value of an enumeration; of one that is not known here, the value itself."""
    return say(key, language) if key in _SENTENCES else key.rpartition("_")[2]
