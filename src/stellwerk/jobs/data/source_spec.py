"""What a person may write of one source in `datasets/NAME.yaml`: where rows come from, and how they meet the earlier ones.

Where rows come from is one of `files` (a pattern below the workspace, `s3://…` or `https://…`), `database` and `api`.
Credentials are references only.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from stellwerk.credentials import Address, Credential, without_secret


class Spec(BaseModel):
    """Base of all parts of a spec file: unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _name(value: str) -> str:
    if not value.replace("_", "").replace("-", "").isalnum() or len(value) > 60:
        raise ValueError(f"the name is {value[:70]!r}, expected at most 60 letters, digits, - and _")
    return value


def _pattern(value: str) -> str:
    if not value.strip():
        raise ValueError("the pattern is empty, expected one such as raw/*.csv")
    return without_secret(value) if "://" in value else value


def _one_character(value: str) -> str:
    if value != "tab" and (len(value) != 1 or value in '"\r\n'):
        raise ValueError(f"the separator is {value!r}, expected one character such as ';', or tab")
    return value


def _quote(value: str) -> str:
    if len(value) > 1 or value in ("\r", "\n"):
        raise ValueError(f"the quote is {value!r}, expected one character, or '' where cells are never quoted")
    return value


def _finite(values: list[str | int | float | bool]) -> list[str | int | float | bool]:
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        raise ValueError("infinity and nan are no values that a column can be asked for; leave them out")
    return values


def _codec(value: str) -> str:
    import codecs

    try:
        codecs.lookup(value)
        "".encode(value)
    except LookupError:
        raise ValueError(f"there is no encoding {value!r}; common ones are utf-8, latin-1, cp1252 and utf-16") from None
    return value


def _date(value: Any) -> Any:
    if isinstance(value, dt.datetime) or not isinstance(value, str | dt.date):
        raise ValueError("expected a date such as 2026-11-01")
    try:
        return dt.date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"{value!r} is no date, expected one such as 2026-11-01") from None


Date = Annotated[dt.date, BeforeValidator(_date)]
Names = Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=list[str] | str)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Values = Annotated[list[str | int | float | bool], AfterValidator(_finite)]
Patterns = Annotated[
    list[Annotated[str, AfterValidator(_pattern)]], BeforeValidator(_listed, json_schema_input_type=list[str] | str)
]
Format = Literal["csv", "json", "jsonl", "parquet", "xlsx", "md", "txt", "html", "pdf", "docx", "pptx", "odt", "eml", "msg"]


class Csv(Spec):
    """How csv files are written; what is left out is worked out from the file."""

    separator: Annotated[str, AfterValidator(_one_character)] | None = None
    encoding: Annotated[str, AfterValidator(_codec)] | None = None
    decimal: Literal[".", ","] | None = None
    quote: Annotated[str, AfterValidator(_quote)] = '"'


class Documents(Spec):
    """How documents such as PDF, Word and e-mail are read."""

    pages: Literal["joined", "each"] = Field(
        "joined", description="joined: one text a file, its column page_starts says where pages begin; each: one text a page"
    )
    ocr: bool = Field(False, description="read pages without a text layer as pictures; needs tesseract")
    ocr_languages: Names = Field(["deu", "eng"], description="as tesseract names them")
    attachments: bool = Field(True, description="documents attached to an e-mail become documents of their own")
    seconds: Finite = Field(120, gt=0, description="a document that takes longer is left out and named")
    megabytes: Finite = Field(1024, gt=0, description="of memory; a document that needs more is left out and named")


class Database(Spec):
    """A table or a query of a database."""

    url: Address = Field(description="such as postgresql://reader@host/crm, sqlite:///raw/crm.db, or env:CRM_DATABASE")
    password: Credential | None = None
    table: str | None = Field(None, description="its name, with its schema where it has one: sales.orders")
    query: str | None = Field(None, description="one SELECT instead of a table")
    columns: Names = Field([], description="of the table; all if left out")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("give either table or query")
        if self.query is not None and self.columns:
            raise ValueError("columns goes with table; a query names its columns itself")
        return self


class Basic(Spec):
    """A user and a password."""

    user: str
    password: Credential


class ApiKey(Spec):
    """A key in a header or in the query."""

    name: str = Field(description="of the header or parameter, such as X-API-Key")
    value: Credential
    place: Literal["header", "query"] = "header"


class OAuth2(Spec):
    """Client credentials, for which a token is fetched."""

    token_url: Address
    client_id: str
    client_secret: Credential
    scope: str | None = None


class Auth(Spec):
    """Who asks; one of the four."""

    bearer: Credential | None = None
    basic: Basic | None = None
    api_key: ApiKey | None = None
    oauth2: OAuth2 | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(way is not None for way in (self.bearer, self.basic, self.api_key, self.oauth2)) != 1:
            raise ValueError("give one of bearer, basic, api_key and oauth2")
        return self


class Pages(Spec):
    """How an API hands out its rows in pages; found out from the first answer where the style is auto."""

    style: Literal["auto", "none", "link", "next", "page", "offset", "cursor"] = Field(
        "auto",
        description="link: a Link header; next: the answer holds the next address; page: numbered; offset: counted rows; "
        "cursor: the answer holds a token for the next page",
    )
    parameter: str | None = Field(None, description="the parameter with the page's number, offset or token")
    size_parameter: str | None = Field(None, description="the parameter with the rows a page")
    size: int | None = Field(None, gt=0, description="rows a page")
    first: int = Field(1, ge=0, description="the number of the first page")
    path: str | None = Field(None, description="where the answer holds the next address or token, such as links.next")
    total: str | None = Field(None, description="where the answer holds the number of rows in all, such as meta.total")
    most: int = Field(100_000, gt=0, description="pages at most: an API that never ends is stopped")


class Api(Spec):
    """Rows of a REST API that answers in JSON."""

    url: Address = Field(description="such as https://kb.example.com/api/articles, or env:NAME")
    rows: str | None = Field(None, description="where the answer holds the rows, such as data.items; found out if left out")
    parameters: dict[str, str | int | float | bool] = Field({}, description="of each request; secrets belong in auth")
    headers: dict[str, str] = Field({}, description="a value may be a reference such as env:NAME")
    auth: Auth | None = None
    pages: Pages = Pages()
    since: str | None = Field(None, description="with a cursor: the parameter that asks for rows from a time or number on")
    per_second: Finite | None = Field(None, gt=0, description="requests a second at most")
    seconds: Finite = Field(60, gt=0, description="an answer that takes longer is asked for again")
    retries: int = Field(5, ge=0, le=20)


class S3(Spec):
    """How an object store is reached; what is left out comes from the environment as AWS tools read it."""

    endpoint: Address | None = Field(None, description="of a store that is not Amazon's, such as https://minio.example.com")
    region: str | None = None
    access_key: Credential | None = None
    secret_key: Credential | None = None
    anonymous: bool = False


def _as_text_of_time(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date) else value


class Cursor(Spec):
    """The column by which new rows are known: only those from the last value on are read again."""

    column: str
    overlap: Finite = Field(
        0,
        ge=0,
        description="how far back rows are read again, for late ones: seconds for times and dates, else its unit",
    )
    start: Annotated[str | int | float | None, BeforeValidator(_as_text_of_time)] = Field(
        None, description="rows before it are left out, such as 2026-01-01"
    )


def _as_cursor(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class Source(Spec):
    """Where documents, or columns for them, come from."""

    name: Annotated[str, AfterValidator(_name)]
    files: Annotated[
        Patterns, Field(description="raw/*.csv below the workspace, s3://bucket/*.pdf, https://…, or several")
    ] = []
    database: Database | None = None
    api: Api | None = None
    format: Format | None = None
    csv: Csv = Csv()
    sheet: str | None = None
    documents: Documents = Documents()
    s3: S3 = S3()
    auth: Auth | None = Field(None, description="who asks for files at https://…")
    cursor: Annotated[Cursor | None, BeforeValidator(_as_cursor, json_schema_input_type=Cursor | str | None)] = Field(
        None, description="read only what is new: a column of a database or API that grows, such as updated_at"
    )
    load: Literal["replace", "append", "merge"] = Field(
        "replace",
        description="replace: the rows are what the files say now; append: rows of files that are gone stay; "
        "merge: a row replaces the earlier one with the same key",
    )
    missing: Literal["keep", "delete"] = Field("keep", description="with merge: rows that the files no longer have")
    key: Names = Field([], description="the columns that name a row")
    text: Names = Field([], description="the columns that are joined to the text; documents (md, txt, html) have one")
    joins: str | None = Field(None, description="the source whose rows get this one's columns, by key")
    contract: Literal["evolve", "freeze"] = Field("evolve", description="freeze: a changed schema stops the run")
    origin: str | None = None
    licence: str | None = None
    legal_basis: str | None = None
    retrieved: Date | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [name for name in ("files", "database", "api") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"{' and '.join(given) or 'no place'} given, expected one of files, database and api")
        if self.cursor and self.files:
            raise ValueError("cursor goes with a database or an API; files are read again only where they changed")
        if self.cursor and self.load == "replace":
            raise ValueError("with a cursor only new rows are read; add 'load: merge' with a key, or 'load: append'")
        if self.cursor and self.missing == "delete" and self.database is None:
            raise ValueError("with a cursor an API does not tell which rows are gone; leave out cursor, or missing: delete")
        return self

    @model_validator(mode="after")
    def _key_where_needed(self) -> Self:
        if self.load == "merge" and not self.key:
            raise ValueError("merge needs a key; add for example 'key: ticket_id'")
        if self.joins and not self.key:
            raise ValueError("joins needs a key; add for example 'key: ticket_id'")
        if self.missing == "delete" and self.load != "merge":
            raise ValueError("missing: delete goes with load: merge only; remove it or change load")
        return self
