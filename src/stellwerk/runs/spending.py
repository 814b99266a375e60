"""What one execution of a run has used, and what it may use: wall time, bytes that it adds to the store, and money.

Each execution begins anew: a resumed run has its whole budget again. It stops nothing by itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stellwerk.errors import UserError

if TYPE_CHECKING:
    from stellwerk.settings import Budget
    from stellwerk.store.store import Store

GIGABYTE = 1e9


class Spending:
    """Counts from its making on."""

    def __init__(self, store: Store, budget: Budget, place: str) -> None:
        self.extent: float | None = None
        self.money: dict[str, float] = {}
        self._store = store
        self._began = time.monotonic()
        self._before = store.written
        self._budgets = [(budget, place)]

    @property
    def seconds(self) -> float:
        """Wall time so far, in seconds."""
        return time.monotonic() - self._began

    @property
    def stored(self) -> int:
        """Bytes that were added to the store so far."""
        return self._store.written - self._before

    @property
    def bounds_money(self) -> bool:
        """Whether one of the budgets bounds money."""
        return any(budget.money for budget, _ in self._budgets)

    def spend(self, amount: float, currency: str) -> None:
        """Add money that was spent.

        Raises:
            UserError: a budget bounds money, and not in this currency.
        """
        for budget, place in self._budgets:
            if budget.money and currency not in budget.money:
                raise UserError(f"budget in {place} bounds {', '.join(budget.money)}, but this costs {currency}; add it there")
        self.money[currency] = self.money.get(currency, 0.0) + amount

    def limit(self, budget: Budget, place: str) -> None:
        """Add a budget; the one that is spent first counts."""
        self._budgets.append((budget, place))

    def spent(self) -> str | None:
        """The budget that is spent, such as `30 minutes in stellwerk.yaml`; None while none is."""
        for budget, place in self._budgets:
            if budget.minutes is not None and self.seconds > budget.minutes * 60:
                return f"{budget.minutes:g} minutes in {place}"
            if budget.gigabytes is not None and self.stored > budget.gigabytes * GIGABYTE:
                return f"{budget.gigabytes:g} GB in {place}"
            for currency, amount in budget.money.items():
                if self.money.get(currency, 0.0) > amount:
                    return f"{amount:g} {currency} in {place}"
        return None
