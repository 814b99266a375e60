"""A suite that is a sample draws the same cases on every machine, and keeps those that it has as others come."""

from __future__ import annotations

from pathlib import Path

from stellwerk.evaluation import suites
from stellwerk.workspace import Workspace


def ids(workspace: Workspace, rows: int, sample: int | None) -> list[str]:
    (workspace.root / "suites").mkdir(exist_ok=True)
    lines = "\n".join(f"c{n},question {n},answer {n}" for n in range(rows))
    (workspace.root / "suites" / "cases.csv").write_text(f"id,q,a\n{lines}\n")
    drawn = f"sample: {sample}\n" if sample else ""
    (workspace.root / "suites" / "many.yaml").write_text(
        f"file: {{path: suites/cases.csv}}\ncolumns: {{inputs: {{q: q}}, expected: a, id: id}}\n{drawn}"
    )
    suite = suites.of(workspace, "many")
    return [case.id for part in ("dev", "test", "held-out") for case in suite.cases(part)]


def test_a_sample_is_stable_and_grows_with_its_number(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "workspace")
    everything = ids(workspace, 500, None)
    few, more = ids(workspace, 500, 50), ids(workspace, 500, 100)
    assert (len(everything), len(few), len(more)) == (500, 50, 100)
    assert set(few) < set(more) < set(everything)
    assert few == [case for case in everything if case in set(few)]
    assert few != everything[:50]
    with_others = ids(workspace, 600, 50)
    assert len(set(few) & set(with_others)) >= 35
    assert ids(workspace, 20, 50) == everything[:20]
