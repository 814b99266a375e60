"""Tables of pages as files to take along: CSV in the reader's language, or a workbook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

from stellwerk.doors.web.language import language_of
from stellwerk.report import tables
from stellwerk.report.tables import TableOf
from stellwerk.runs.exchange import safe_name

if TYPE_CHECKING:
    from starlette.requests import Request

KINDS = {"csv": "text/csv; charset=utf-8", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


def table_file(request: Request, found: Sequence[TableOf], name: str, wanted: str) -> Response:
    """Tables as one file; CSV holds the first of them alone.

    Args:
        request: whose language the numbers follow.
        found: the tables.
        name: of the file, without its ending.
        wanted: csv or xlsx.

    Raises:
        HTTPException: 404, there is no such format or no table.
    """
    if wanted not in KINDS or not found:
        raise HTTPException(404, "tables are to be had as csv or xlsx")
    language = language_of(request)
    content = tables.csv(found[0], language) if wanted == "csv" else tables.xlsx(found, language)
    headers = {"Content-Disposition": f'attachment; filename="{safe_name(name).encode("ascii", "replace").decode()}.{wanted}"'}
    return Response(content, media_type=KINDS[wanted], headers=headers)
