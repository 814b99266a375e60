"""A workspace with a prompt that lacks rules, a suite of its own and models in which rules are planted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from planted import BASE, EFFECT, USEFUL

from stellwerk.operation import find
from stellwerk.runs import execution
from stellwerk.workspace import Workspace

SPLITS = {"dev": 0.3, "test": 0.35, "held-out": 0.35}


class SearchPlace:
    """Write files, and call operations in this process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workspace = Workspace.init(root)
        self.prompt("reply", "Beantworte die Frage.")
        self.suite()
        self.model()

    def write(self, name: str, text: str) -> Path:
        """Write a file below the workspace."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def prompt(self, name: str, system: str) -> None:
        """Write a prompt with a system message and a question."""
        self.write(f"prompts/{name}.prompty", f"---\ndescription: Antwortet.\n---\nsystem:\n{system}\nuser:\n{{{{frage}}}}\n")

    def suite(self, number: int = 240, splits: dict[str, float] | None = None, **more: Any) -> None:
        """Write a suite of questions whose right answer is `ok`."""
        tests = [
            {
                "vars": {"frage": f"Wann kommt denn nun endlich die bestellte Ware zu dem Auftrag {i}?"},
                "assert": [{"type": "equals", "value": "ok"}],
                "metadata": {"expected": "ok"},
            }
            for i in range(number)
        ]
        fields = {"splits": splits or SPLITS, **more, "tests": tests}
        self.write("suites/cases.yaml", yaml.safe_dump(fields, allow_unicode=True, sort_keys=False))

    def model(self, name: str = "sim", seed: int = 0, price: float | None = None, **options: Any) -> None:
        """Write a simulated model with planted rules."""
        plan = {"plan": "rules", "seed": seed, "options": {"base": BASE, "rules": dict.fromkeys(USEFUL, EFFECT), **options}}
        fields: dict[str, Any] = {"simulated": plan}
        if price is not None:
            fields["price"] = [{"input": price, "output": price, "since": "2020-01-01"}]
        self.write(f"models/{name}.yaml", yaml.safe_dump(fields, allow_unicode=True))

    def call(self, operation: str, **values: Any) -> Any:
        """The result of an operation."""
        return execution.call(self.workspace, find(operation), values)

    def close(self) -> None:
        """Let the record go."""
        if "record" in vars(self.workspace):
            self.workspace.record.database.close()
