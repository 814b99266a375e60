"""Whether a system would be released, as one sentence in English and German; why each signal is what it is tells `standing`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stellwerk.report.words import Language, number
from stellwerk.standing.words import UNGATED, listed

if TYPE_CHECKING:
    from stellwerk.standing.standing import Standing

_COUNTED: Final = {
    "stop": (
        ("is stopped by {} gate", "steht an {} Prüfpunkt auf Halt"),
        ("is stopped by {} gates", "steht an {} Prüfpunkten auf Halt"),
    ),
    "dark": (
        ("{} gate has no evidence", "{} Prüfpunkt hat keinen Nachweis"),
        ("{} gates have no evidence", "{} Prüfpunkte haben keinen Nachweis"),
    ),
    "caution": (
        ("{} gate is at caution", "{} Prüfpunkt steht auf Vorsicht"),
        ("{} gates are at caution", "{} Prüfpunkte stehen auf Vorsicht"),
    ),
    "unbound": (
        ("{} binding has no version", "{} Baustein hat keine Version"),
        ("{} bindings have no version", "{} Bausteine haben keine Version"),
    ),
    "unsigned": (
        ("{} signature is missing", "{} Unterschrift fehlt"),
        ("{} signatures are missing", "{} Unterschriften fehlen"),
    ),
}


def sentence(standing: Standing, language: Language = "en") -> str:
    """Whether a system would be released, and what keeps it: `support-desk is stopped by 1 gate`."""
    if standing.releasable:
        return _pick(("{} can be released", "{} kann freigegeben werden"), language).format(standing.name)
    failing = [signal.state for signal in standing.signals if not signal.passes and signal.why != "unbound"]
    counts = {
        "dark": failing.count("dark"),
        "caution": failing.count("caution"),
        "unbound": sum(one.version is None for one in standing.bound),
        "unsigned": len(standing.unsigned),
    }
    rest = [_counted(what, n, language) for what, n in counts.items() if n]
    rest += [UNGATED[language]] if standing.ungated else []
    if stops := failing.count("stop"):
        head = f"{standing.name} {_counted('stop', stops, language)}"
        return f"{head}; {listed(rest, language)}" if rest else head
    head = _pick(("{} cannot be released", "{} kann nicht freigegeben werden"), language).format(standing.name)
    return f"{head}: {listed(rest, language)}"


def _counted(what: str, n: int, language: Language) -> str:
    pair = _COUNTED[what]
    return _pick(pair[0 if n == 1 else 1], language).format(number(n, language))


def _pick(pair: tuple[str, ...], language: Language) -> str:
    return pair[language == "de"]
