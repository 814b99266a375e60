"""The scorer for the language of an answer. Knows that code and a few words say nothing."""

from __future__ import annotations

from stellwerk.evaluation.case import Check
from stellwerk.evaluation.scorers.outcome import Asked, Outcome, inputs_text, unscored, yes_no

LEAST = 0.6  # of what the detector is sure; below nothing is said
WORDS = 3
USUAL = ("de", "en")


def language(check: Check, asked: Asked) -> Outcome:
    """The answer is in the value's language; without one in the case's, and else in that of the inputs."""
    found, sure = detected(asked.text)
    if found is None:
        return unscored("too_short")
    wanted = check.value or asked.case.language
    if not wanted or wanted == "input":
        wanted, _ = detected(inputs_text(asked.case))
        if wanted is None:
            return unscored("too_short")
    wanted = str(wanted).lower().split("-")[0]
    if found != wanted and sure < LEAST:
        return unscored("unsure", found=found, expected=wanted)
    return yes_no(found == wanted, "in_language" if found == wanted else "other_language", found=found, expected=wanted)


def detected(text: str) -> tuple[str | None, float]:
    """The language of a text and how sure that is; None where it has too few words."""
    if len(text.split()) < WORDS:
        return None, 0.0
    import pyarrow as pa

    from stellwerk.text.language import UNDETERMINED, detect

    row = detect(pa.array([text]), USUAL).to_pylist()[0]
    return (None, 0.0) if row["language"] == UNDETERMINED else (row["language"], float(row["language_score"]))


def problem(check: Check) -> str | None:
    """A code such as de, `input`, or nothing."""
    value = check.value
    if value is None or (isinstance(value, str) and ("{{" in value or value == "input" or 2 <= len(value) <= 10)):
        return None
    return "needs a value such as de, or input for the language of the inputs"
