"""The operations of the AI data engineer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from stellwerk.jobs.data.reports import BuildReport
from stellwerk.jobs.data.spec import DatasetSpec
from stellwerk.operation import Spec, operation

if TYPE_CHECKING:
    from stellwerk.run import Run

DatasetName = Annotated[str, Spec("datasets", DatasetSpec)]


@operation(example={"dataset": "tickets"})
def build(dataset: DatasetName, *, run: Run) -> BuildReport:
    """Build a dataset version from its spec; what was done before is not done again.

    Args:
        dataset: the name of its spec, tickets for datasets/tickets.yaml.
    """
    from stellwerk.jobs.data import build as building

    return building.build(run, dataset, run.spec("dataset").check(DatasetSpec))
