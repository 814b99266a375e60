"""How an API hands out its rows: where an answer holds them, and how the next page is asked for.

The loop over pages and what changes in a request are those of dlt's REST client; nothing else of dlt is used, and it reads no
configuration and reports no usage. Where an answer leaves open how it is paged, this asks instead of guessing: a wrong guess
loses rows silently. It knows no HTTP failures and no Arrow.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import requests

from stellwerk.errors import UserError
from stellwerk.jobs.data.source_spec import Pages

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")  # dlt reports usage unless told not to before its import

from dlt.common.configuration.specs.runtime_configuration import RuntimeConfiguration
from dlt.sources.helpers.rest_client.client import RESTClient
from dlt.sources.helpers.rest_client.detector import find_next_page_path, find_total_pages_path
from dlt.sources.helpers.rest_client.paginators import (
    BaseNextUrlPaginator,
    BasePaginator,
    BaseReferencePaginator,
    HeaderLinkPaginator,
    PageNumberPaginator,
    RangePaginator,
    SinglePagePaginator,
)

ROOT = "$"
USUAL = ("data", "items", "results", "entries", "records", "rows", "value", "content", "objects", "values", "hits")
TOTALS = ("total", "count", "total_count", "totalcount", "total_items", "totalitems", "total_results", "totalresults")
DEPTH = 3  # so many keys deep rows are looked for
_PLAIN = re.compile(r"@?[A-Za-z_$][\w$.-]{0,39}")
_MISSING = object()

# How answers and headers say that there is more, without the signs between words.
MORE = {"hasmore", "hasnext", "hasnextpage", "more", "moreavailable", "nextlink", "odatanextlink", "xnextpage"}
LAST = {"islast", "islastpage", "last"}
PAGES = {"lastpage", "pagecount", "pages", "numpages", "totalpages", "xtotalpages", "xwptotalpages", "xpagecount"}
ROWS = {"numfound", "odatacount", "xtotalcount", "xtotal", "xwptotal"}


class Walker(RESTClient):
    """dlt's client, with rows found and pages told as this module does it."""

    def __init__(self, url: str, session: requests.Session, rows: str | None, pages: Pages, auth: Any) -> None:
        super().__init__(url, session=session, auth=auth, headers={"Accept": "application/json"}, config=RuntimeConfiguration())
        self._rows = rows
        self._pages = pages

    def detect_data_selector(self, response: requests.Response) -> str:
        """Where the rows are: as the spec says, else found out."""
        return self._rows or find_rows(document_of(response))

    def extract_response(self, response: requests.Response, data_selector: Any) -> list[Any]:
        """The rows of an answer."""
        return rows_at(document_of(response), str(data_selector))

    def detect_paginator(self, response: requests.Response, data: Any) -> BasePaginator:
        """How the next page is asked for."""
        return paginator(self._pages) or found_paginator(response, len(data))


def keep_document(response: requests.Response, document: Any) -> requests.Response:
    """Leave the parsed body with its answer."""
    response.document = document  # type: ignore[attr-defined]
    return response


def document_of(response: requests.Response) -> Any:
    """The parsed body of an answer."""
    return response.document  # type: ignore[attr-defined]


def paginator(pages: Pages) -> BasePaginator | None:
    """What asks for the next page; None where it is to be found out from the first answer."""
    match pages.style:
        case "none":
            return SinglePagePaginator()
        case "link":
            return HeaderLinkPaginator()
        case "next":
            return _Next(pages.path or "next")
        case "page":
            return PageNumberPaginator(base_page=pages.first, page_param=pages.parameter or "page", total_path=None)
        case "offset":
            return _Offset(pages.parameter or "offset")
        case "cursor":
            if pages.path is None:
                raise UserError("pages with the style cursor need 'path': where the answer holds the token, such as meta.next")
            return _Cursor(pages.path, pages.parameter or "cursor")
    return None


def only_page(pages: Pages, document: Any, rows: int, note: Callable[[str], None]) -> None:
    """See that an answer that names no next page can be the only one.

    Raises:
        UserError: it is as long as was asked for, and there is nothing where the next page should be named.
    """
    if pages.style not in ("next", "cursor") or value_at(document, pages.path or "next", None) is not None:
        return
    where = pages.path or "next"
    if pages.size is not None and rows >= pages.size and _at(document, where) is _MISSING:
        raise UserError(
            f"the first answer is full, and holds nothing at {where!r}, where the next page is named; it has: "
            f"{names_in(document)}; correct pages.path"
        )
    if _at(document, where) is _MISSING:
        note(f"has nothing at {where!r} in its first answer, which was taken as the only page")


def size_parameters(pages: Pages) -> dict[str, int]:
    """The parameter that asks for a number of rows a page.

    Raises:
        UserError: a size is given, and not how the API calls it.
    """
    if pages.size is None:
        return {}
    name = pages.size_parameter or ("limit" if pages.style == "offset" else None)
    if name is None:
        raise UserError("pages: size needs size_parameter, the parameter with the rows a page, such as per_page")
    return {name: pages.size}


class _Next(BaseNextUrlPaginator):
    """The answer holds the address of the next page; none, null or an empty text at the end."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def update_state(self, response: requests.Response, data: list[Any] | None = None) -> None:
        value = value_at(document_of(response), self._path, None)
        if isinstance(value, dict):
            value = value.get("href") or value.get("url")
        if value and not isinstance(value, str):
            raise UserError(f"the answer holds no address at {self._path!r}; correct 'path', or the style of pages")
        self._next_reference = value or None


class _Cursor(BaseReferencePaginator):
    """The answer holds a token for the next page; none, null or an empty text at the end."""

    def __init__(self, path: str, parameter: str) -> None:
        super().__init__()
        self._path = path
        self._parameter = parameter

    def update_state(self, response: requests.Response, data: list[Any] | None = None) -> None:
        value = value_at(document_of(response), self._path, None)
        if isinstance(value, dict | list):
            raise UserError(f"the answer holds no token at {self._path!r}; correct 'path', or the style of pages")
        self._next_reference = None if value is None or value is False or value == "" else str(value)

    def update_request(self, request: requests.Request) -> None:
        known: Any = request.params or {}
        request.params = {**known, self._parameter: self._next_reference}


class _Offset(RangePaginator):
    """Counts the rows that came: a server may give fewer than were asked for, and none may be left out."""

    def __init__(self, parameter: str) -> None:
        super().__init__(param_name=parameter, initial_value=0, value_step=1)

    def update_state(self, response: requests.Response, data: list[Any] | None = None) -> None:
        self.value_step = len(data or [])
        super().update_state(response, data)


def found_paginator(response: requests.Response, rows: int) -> BasePaginator:
    """Work out from the first answer how the next page is asked for.

    Raises:
        UserError: there are more pages by the look of it, and the answer does not say how to ask for them.
    """
    if response.links.get("next"):
        return HeaderLinkPaginator()
    document = document_of(response)
    parts, value = find_next_page_path(document)
    if parts and value not in ("", False, 0):
        path = ".".join(parts)
        if isinstance(value, str) and value.startswith(("http://", "https://", "/", "?")):
            return _Next(path)
        raise UserError(
            f"the answer names a next page at {shown(path)}; say how to ask for it, "
            f"such as 'pages: {{style: cursor, path: {shown(path)}}}'"
        )
    parts, value = find_total_pages_path(document)
    total = _total(document)
    if (parts and _whole(value) > 1) or total > rows or _goes_on(document, response.headers, rows):
        raise UserError(
            f"the answer holds {rows} rows and says that there are more; say how to ask for them: "
            "'pages: {style: page}' or offset; or style none, if that is all"
        )
    return SinglePagePaginator()


def _goes_on(document: Any, headers: Mapping[str, str], rows: int) -> bool:
    """Whether an answer or its headers say in one of the usual words that it is not the whole."""
    inner = [value for value in document.values() if isinstance(value, dict)] if isinstance(document, dict) else []
    deeper = [value for part in inner for value in part.values() if isinstance(value, dict)]
    parts = [part for part in (document, *inner, *deeper, headers) if isinstance(part, Mapping)]
    return any(
        _says_more(re.sub(r"[^a-z]", "", str(name).lower()), value, rows) for part in parts for name, value in part.items()
    )


def _says_more(name: str, value: Any, rows: int) -> bool:
    if name in MORE:
        return value not in (None, False, 0, "", "false")
    if name in LAST:
        return value is False
    if name in PAGES:
        return _whole(value) > 1
    if name in ROWS:
        return _whole(value) > rows
    if name == "contentrange":
        return _whole(str(value).rpartition("/")[2]) > rows
    return name in ("hits", "total") and isinstance(value, dict) and _whole(value.get("value")) > rows


def _total(document: Any) -> int:
    """The number of rows in all, where the answer holds one under a usual name."""
    if not isinstance(document, dict):
        return 0
    inner = [value for value in document.values() if isinstance(value, dict)]
    return max((_whole(part[key]) for part in (document, *inner) for key in part if key.lower() in TOTALS), default=0)


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


def value_at(document: Any, path: str, default: Any = _MISSING) -> Any:
    """What stands at a path such as `meta.next`; keys may hold dots themselves.

    Raises:
        UserError: nothing is there, and no default is given; the sentence names what there is.
    """
    found = _at(document, path)
    if found is not _MISSING:
        return found
    if default is not _MISSING:
        return default
    raise UserError(f"the answer holds nothing at {path!r}; it has: {names_in(document)}")


def _at(document: Any, path: str) -> Any:
    if path == ROOT:
        return document
    if not isinstance(document, dict):
        return _MISSING
    if path in document:
        return document[path]
    for place, sign in enumerate(path):
        if sign == "." and path[:place] in document:
            found = _at(document[path[:place]], path[place + 1 :])
            if found is not _MISSING:
                return found
    return _MISSING


def rows_at(document: Any, path: str) -> list[Any]:
    """The rows at a path; null are no rows, and an object that is the whole answer is one row.

    Raises:
        UserError: no list is there.
    """
    found = value_at(document, path)
    if found is None:
        return []
    if isinstance(found, list):
        return found
    if path == ROOT and isinstance(found, dict):
        return [found]
    raise UserError(f"the answer holds no list of rows at {path!r}; it has: {names_in(document)}")


def find_rows(document: Any) -> str:
    """Where the rows are: the list that the answer is or holds.

    Raises:
        UserError: it holds several, and none has a usual name; the sentence names them.
    """
    if not isinstance(document, dict):
        return ROOT
    lists = list(_lists(document, (), DEPTH))
    usual = [path for path in lists if path[-1].lower() in USUAL]
    best = usual if len(usual) == 1 else lists
    if len(best) > 1:
        names = ", ".join(shown(".".join(path)) for path in lists[:10])
        raise UserError(
            f"the answer holds several lists: {names}; say which one holds the rows, such as 'rows: {names.partition(',')[0]}'"
        )
    return ".".join(best[0]) if best else ROOT


def _lists(document: dict[str, Any], path: tuple[str, ...], depth: int) -> Any:
    for key, value in document.items():
        if isinstance(value, list) and all(isinstance(item, dict) for item in value[:100]):
            yield (*path, key)
        elif isinstance(value, dict) and depth > 1:
            yield from _lists(value, (*path, key), depth - 1)


def names_in(document: Any) -> str:
    """The keys of an answer, as far as they look like names; values used as keys are not shown."""
    if not isinstance(document, dict):
        return "a list" if isinstance(document, list) else "one value"
    names = [key for key in document if _PLAIN.fullmatch(key)]
    return ", ".join(names[:10]) or "no keys"


def shown(path: str) -> str:
    """A path that an answer has, as it may be shown."""
    return path if _PLAIN.fullmatch(path) else "a key"
