"""Where a suite's cases come from: its own file, other files, or a version of a dataset; and all files that it depends on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stellwerk.evaluation.suites import reading
from stellwerk.evaluation.suites.loading import SIGN, Files
from stellwerk.evaluation.suites.row import Row
from stellwerk.evaluation.suites.spec import FOLDER, CaseFile, Columns, SuiteSpec, TestCase
from stellwerk.specfile import SpecFile, parse, read_text
from stellwerk.store.store import digest

if TYPE_CHECKING:
    from stellwerk.record.record import Version
    from stellwerk.workspace import Workspace


@dataclass(frozen=True)
class Source:
    """A suite's file with what is needed to read its cases.

    Attributes:
        spec: the file, checked.
        raw: the file with its lines.
        dataset: the version that its cases are in, if they are.
    """

    workspace: Workspace
    spec: SuiteSpec
    raw: SpecFile
    dataset: Version | None = None

    @property
    def files(self) -> Files:
        """Finds the files that it refers to."""
        root = self.workspace.root
        return Files(root, root / FOLDER)

    def rows(self) -> Iterator[Row]:
        """Its cases, each with its line.

        Raises:
            UserError: one sentence for the first thing that is wrong.
        """
        if self.spec.tests is not None:
            yield from self._tests()
        elif self.spec.file is not None:
            yield from reading.rows(self.files, self.spec.file, self._columns)
        else:
            assert self.dataset is not None and self.spec.columns is not None
            from stellwerk.evaluation.suites import tables

            yield from tables.rows(self.workspace.store, self.dataset, self.spec.columns)

    @property
    def _columns(self) -> Columns | None:
        return self.spec.columns

    def _tests(self) -> Iterator[Row]:
        files = self.files
        for index, test in enumerate(self.spec.tests or []):
            if test.from_ is None:
                yield Row(f"{self.raw.name}, line {self.raw.line(('tests', index))}", loaded(test, files))
                continue
            for row in reading.rows(files, CaseFile(path=test.from_), None):
                yield replace(row, test=loaded(row.test, files)) if _is_written(test.from_) else row


def loaded(test: TestCase, files: Files) -> TestCase:
    """A case with `file://NAME` among its variables replaced by what the file holds."""
    found = {name: files.filled(value) for name, value in test.vars.items()}
    if all(found[name] is value for name, value in test.vars.items()):
        return test
    return test.model_copy(update={"vars": found})


def digests(source: Source) -> dict[str, str]:
    """The digest of each file that a suite refers to, so that its version depends on them."""
    files, found = source.files, {}
    todo = list(_references(source.raw.value))
    if source.spec.file is not None:
        todo.append(SIGN + source.spec.file.path)
    while todo:
        name = todo.pop()
        path = files.path(name.partition("{{")[0] if "{{" in name else name)
        if name not in found:
            found[name] = digest(path)
            if _is_written(name) and path.suffix != ".gz" and path.stat().st_size < 4 << 20:
                todo += _references(parse(read_text(path), name).value)
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith(SIGN) and "{{" not in value:
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            if name not in ("prompts", "providers"):
                yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _is_written(name: str) -> bool:
    """Whether a file of tests is written by people, so that it may refer to further files; data may not."""
    return name.removesuffix(".gz").endswith((".yaml", ".yml", ".json"))
