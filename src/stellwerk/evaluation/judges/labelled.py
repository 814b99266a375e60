"""What people said of answers, in one shape whether they rated in a study or it stands in a file; and as a judge's own terms.

The texts lie in the store, as one artifact of a version of kind `ratings`; the record knows how many there are and a digest.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from stellwerk.errors import UserError
from stellwerk.evaluation.suites.loading import within
from stellwerk.record.journal import canonical

if TYPE_CHECKING:
    from stellwerk.evaluation.judges.spec import JudgeSpec
    from stellwerk.evaluation.judges.wording import Verdict
    from stellwerk.record.record import Version
    from stellwerk.store.store import Store
    from stellwerk.workspace import Workspace

KIND = "ratings"
MOST_BYTES = 64 * 2**20
YES = frozenset({"pass", "passed", "true", "yes", "good", "1", "ja", "gut", "wahr"})
NO = frozenset({"fail", "failed", "false", "no", "bad", "0", "nein", "schlecht", "falsch"})
PAIR = {"a": "A", "first": "A", "1": "A", "b": "B", "second": "B", "2": "B", "tie": "tie", "equal": "tie", "gleich": "tie"}


class Item(BaseModel):
    """One thing that people rated.

    Attributes:
        answers: one, or the two of a pair.
        values: what each person said.
        families: of the models that answered, such as mistral; empty where unknown.
        case: of the suite that it is about; None where it is about none.
        turned: whether the first of a pair is by the second of two runs.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    question: str
    answers: tuple[str, ...]
    values: tuple[str, ...]
    expected: str | None = None
    families: tuple[str, ...] = ()
    case: str | None = None
    turned: bool = False


class Labels(BaseModel):
    """All that people rated, with the words that they had for it.

    Attributes:
        scale: the words, worst first; empty for pairs, whose words are A, B and tie.
        passes: the first word that counts as good.
    """

    model_config = ConfigDict(frozen=True)

    scale: tuple[str, ...] = ()
    passes: str | None = None
    items: tuple[Item, ...]

    @property
    def pairs(self) -> bool:
        """Whether pairs were compared."""
        return not self.scale


@dataclass(frozen=True, slots=True)
class Case:
    """One thing with what people say of it, in the terms of a judge."""

    item: Item
    human: Verdict


def read(store: Store, version: Version) -> Labels:
    """What a version of kind `ratings` holds."""
    return Labels.model_validate_json(store.get(version.content["items"]))


def keep(store: Store, labels: Labels) -> str:
    """Put it into the store; returns the reference. Equal labels have the same one."""
    return store.put(canonical(labels.model_dump(mode="json")))


def of_file(workspace: Workspace, name: str, spec: JudgeSpec) -> Labels:
    """Read a file of labels.

    Columns: `question`, `human` and, for a judge of pairs, `first` and `second`, else `answer`; `id`, `expected` and `family`
    (for pairs `family` is of the first answer) may be there too.

    Raises:
        UserError: it is not there, outside of the workspace, or a line of it is not as expected.
    """
    wanted = ("question", "human", "first", "second") if spec.form == "pairwise" else ("question", "human", "answer")
    items: list[Item] = []
    for place, key, row in keyed_rows(workspace, name, wanted):
        answers = (row["first"], row["second"]) if spec.form == "pairwise" else (row["answer"],)
        said = _word(str(row["human"]), spec, f"{name}, {place}")
        item = Item(id=key, question=str(row["question"]), answers=tuple(map(str, answers)), values=(said,))
        families = (str(row["family"]),) if row.get("family") else ()
        items.append(item.model_copy(update={"expected": row.get("expected") or None, "families": families}))
    if not items:
        raise UserError(f"{name} holds no case; each row is one that a person has judged")
    if spec.form == "pairwise":
        return Labels(items=tuple(items))
    scale = ("fail", "pass") if spec.form == "verdict" else tuple(map(str, range(spec.scale[0], spec.scale[1] + 1)))
    return Labels(scale=scale, passes="pass" if spec.form == "verdict" else None, items=tuple(items))


def in_terms_of(labels: Labels, spec: JudgeSpec, name: str) -> list[Case]:
    """What people say of each thing, as the judge would say it; without things that people are divided on.

    Of several people the most count: for pairs a tie where none has the most, for scores the median.

    Raises:
        UserError: people were asked something else than the judge is.
    """
    if labels.pairs != (spec.form == "pairwise"):
        asked = "pairs" if labels.pairs else "single answers"
        raise UserError(f"in {name} people judged {asked}, which a judge of form {spec.form} cannot be compared with")
    low, high = spec.scale
    if spec.form == "score" and len(labels.scale) != high - low + 1:
        raise UserError(
            f"in {name} people had {len(labels.scale)} words, but scale [{low}, {high}] has {high - low + 1}; make it fit"
        )
    return [Case(item, human) for item in labels.items if (human := _human(labels, item, spec)) is not None]


def share(labels: Labels, item: Item) -> float | None:
    """What people say of a thing as a number: 1 for good, 0 for bad; of a pair 1 where the second run's answer is better.

    Of a pair that most call even it is a half; None where people are divided between good and bad.
    """
    if labels.pairs:
        best = _most(item.values)
        return 0.5 if best not in ("A", "B") else float((best == "A") == item.turned)
    good = _good(labels, item)
    return None if good is None else float(good)


def _good(labels: Labels, item: Item) -> bool | None:
    """Whether most people call it good; None where they are divided."""
    bar = labels.scale.index(labels.passes) if labels.passes else (len(labels.scale) + 1) // 2
    good = sum(labels.scale.index(value) >= bar for value in item.values)
    return None if 2 * good == len(item.values) else 2 * good > len(item.values)


def _human(labels: Labels, item: Item, spec: JudgeSpec) -> Verdict | None:
    if spec.form == "pairwise":
        best = _most(item.values)
        return best if best in ("A", "B") else "tie"  # type: ignore[return-value]
    if spec.form == "verdict":
        return _good(labels, item)
    places = sorted(labels.scale.index(value) for value in item.values)
    return spec.scale[0] + places[(len(places) - 1) // 2]


def _most(values: Sequence[str]) -> str | None:
    """What more people said than anything else; None where there is no such."""
    counted = Counter(values).most_common(2)
    return None if len(counted) == 2 and counted[0][1] == counted[1][1] else counted[0][0]


def _word(text: str, spec: JudgeSpec, place: str) -> str:
    said = text.strip().casefold()
    if spec.form == "pairwise" and said in PAIR:
        return PAIR[said]
    if spec.form == "verdict" and said in YES | NO:
        return "pass" if said in YES else "fail"
    if spec.form == "score" and re.fullmatch(r"\d{1,3}(\.0+)?", said) and spec.scale[0] <= float(said) <= spec.scale[1]:
        return str(int(float(said)))
    number = f"a whole number from {spec.scale[0]} to {spec.scale[1]}"
    wanted = {"pairwise": "A, B or tie", "verdict": "pass or fail", "score": number}
    raise UserError(f"{place}: human is not as expected; write {wanted[spec.form]}")


def keyed_rows(workspace: Workspace, name: str, wanted: Sequence[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The rows of a file, each with its place for people and its id: what stands in the column id, else its number.

    Raises:
        UserError: as `rows_of`, or a row lacks one of the wanted columns, or has the id of another.
    """
    seen: set[str] = set()
    for place, row in rows_of(workspace, name):
        if missing := [column for column in wanted if not str(row.get(column) or "").strip()]:
            raise UserError(f"{name}, {place}: {missing[0]} is empty or missing; fill the columns {', '.join(wanted)}")
        key = str(row.get("id") or len(seen) + 1)
        if key in seen:
            raise UserError(f"{name}, {place}: the id {key[:40]!r} stands there twice; give each case its own")
        seen.add(key)
        yield place, key, row


def rows_of(workspace: Workspace, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a CSV or JSON Lines file of the workspace, each with its place for people.

    Raises:
        UserError: it is not there, outside of the workspace, too large, or a line of it is no JSON.
    """
    path = (workspace.root / name).resolve()
    if not within(workspace.root, path) or not path.is_file():
        raise UserError(f"file is {name!r}, but the workspace has no such file; give its path from {workspace.root.name}/")
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{name} has over {MOST_BYTES // 2**20} MiB; what people judge is a few hundred cases")
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")  # what Excel writes in Germany
    yield from _of_json(text, name) if path.suffix in (".jsonl", ".ndjson", ".json") else _of_csv(text, name)


def _of_json(text: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            if not isinstance(value, dict):
                raise UserError(f"{name}, line {number}: this is no JSON object; write one for each case on a line of its own")
            yield f"line {number}", value


def _of_csv(text: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    try:
        for number, row in enumerate(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter), 1):
            yield f"row {number}", {str(key).strip().casefold(): value for key, value in row.items()}
    except csv.Error as error:
        raise UserError(f"{name} is no CSV that can be read: {error}; write it as JSON Lines") from None
