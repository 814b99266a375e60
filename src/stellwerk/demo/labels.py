"""The labels that the support desk's annotators gave: mostly right, sometimes wrong, and unfair to one group.

Small companies' tickets get a lower priority than their words deserve, and their complaints are often filed as technical
questions: the bias that the ethics job has to find. Knows which labels it made wrong, and says so in the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

from stellwerk.demo.phrases import draws, pick
from stellwerk.demo.tickets import PRIORITIES, Ticket

# Share of the intents that each annotator gets wrong.
ANNOTATORS = {
    "annotator-1": 0.01,
    "annotator-2": 0.02,
    "annotator-3": 0.02,
    "annotator-4": 0.03,
    "annotator-5": 0.07,
}
CONFUSABLE = {
    "repair": ["technical", "complaint"],
    "spare_part": ["delivery", "technical"],
    "technical": ["repair", "training"],
    "invoice": ["complaint", "contract"],
    "delivery": ["complaint", "spare_part"],
    "complaint": ["repair", "delivery"],
    "contract": ["cancellation", "invoice"],
    "cancellation": ["contract", "delivery"],
    "training": ["technical", "contract"],
}
BIASED_GROUP = "Kleinbetrieb"
BIASED_PRIORITY_SHARE = 0.35
BIASED_COMPLAINT_SHARE = 0.3


@dataclass(frozen=True)
class Label:
    """One row of labels.jsonl, with the wrong columns and why they are wrong."""

    intent: str
    priority: str
    annotator: str
    noise: bool
    biased: tuple[str, ...]


def label(seed: int, ticket: Ticket) -> Label:
    """The label that an annotator gave to a ticket.

    Args:
        seed: of the whole corpus
        ticket: with its true intent and priority

    Returns:
        The label; `noise` says that the intent is wrong by chance, `biased` names the columns that are wrong because of
        the customer's group. A label is never both in the same column.
    """
    rng = draws(f"label/{seed}/{ticket.number}")
    annotator = pick(rng, list(ANNOTATORS))
    intent, priority = ticket.intent, ticket.priority
    noise = rng.random() < ANNOTATORS[annotator]
    if noise:
        intent = pick(rng, CONFUSABLE[ticket.intent])
    biased = []
    lowered, refiled = rng.random() < BIASED_PRIORITY_SHARE, rng.random() < BIASED_COMPLAINT_SHARE
    if ticket.customer.group == BIASED_GROUP:
        if lowered and priority != PRIORITIES[0]:
            priority = PRIORITIES[PRIORITIES.index(priority) - 1]
            biased.append("priority")
        if refiled and ticket.intent == "complaint" and not noise:
            intent = "technical"
            biased.append("intent")
    return Label(intent, priority, annotator, noise, tuple(biased))
