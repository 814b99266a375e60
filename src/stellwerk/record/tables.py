"""The tables of the record.

Every row of a journaled table has a text primary key `id` that names no person: random, or a digest. Times are ISO 8601 in
UTC as text, so that SQLite and PostgreSQL give back exactly what was written and row digests agree on both.
A truth value is 1 or 0, since a column of truth values would read whatever stands in it as true. `person` is the one table that
can be erased; `lease`, `progress`, `queue`, `tick` and `worker` are of the moment, `shared` is about who writes, `account`,
`token` and `session` are about who may, and a `remark` can be taken back. These are not journaled.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


_WHOLE = BigInteger().with_variant(Integer, "sqlite")


def _id() -> Column[str]:
    return Column("id", String(64), primary_key=True)


def _to(table: str, name: str | None = None, *, optional: bool = False) -> Column[str]:
    return Column(name or table, String(64), ForeignKey(f"{table}.id"), nullable=optional, index=True)


def _time(name: str, *, optional: bool = False) -> Column[str]:
    return Column(name, String(32), nullable=optional)


asset = Table(
    "asset",
    metadata,
    _id(),
    Column("kind", String(32), nullable=False),
    Column("name", String(200), nullable=False),
    _time("created"),
    UniqueConstraint("kind", "name"),
)

run = Table(
    "run",
    metadata,
    _id(),
    Column("operation", String(100), nullable=False, index=True),
    Column("parameters", JSON, nullable=False),
    Column("snapshots", JSON, nullable=False),
    Column("code", String(64), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("person", String(64), nullable=False),
    _time("created"),
    _time("started", optional=True),
    _time("finished", optional=True),
    Column("error", Text),
    Column("result", JSON),
    Index("ix_run_created", "created"),
    Index("ix_run_operation_created", "operation", "created"),
)

step = Table(
    "step",
    metadata,
    _id(),
    _to("run"),
    Column("key", String(64), nullable=False, index=True),
    Column("name", String(100), nullable=False),
    Column("reused", String(64)),
    Column("outcome", JSON, nullable=False),
    Column("seconds", Float, nullable=False),
    _time("finished"),
)

version = Table(
    "version",
    metadata,
    _id(),
    _to("asset"),
    Column("number", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("identity", JSON, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("content", JSON, nullable=False),
    Column("tainted", String(64)),
    _to("run"),
    _time("created"),
    UniqueConstraint("asset", "number"),
    UniqueConstraint("asset", "digest", name="uq_version_digest"),
)

alias = Table(
    "alias",
    metadata,
    _id(),
    _to("asset"),
    Column("name", String(100), nullable=False),
    _to("version"),
    _to("run"),
    _time("moved"),
    UniqueConstraint("asset", "name"),
)

edge = Table(
    "edge",
    metadata,
    _id(),
    _to("run"),
    _to("step", optional=True),
    _to("version"),
    Column("direction", String(8), nullable=False),
    Column("known", JSON),
)

measurement = Table(
    "measurement",
    metadata,
    _id(),
    _to("run"),
    _to("step", optional=True),
    Column("metric", String(100), nullable=False, index=True),
    Column("metric_version", Integer, nullable=False),
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
    Column("n", _WHOLE),
    Column("unit", String(32), nullable=False),
    Column("complete", Integer, nullable=False),
    Column("details", JSON, nullable=False),
    _time("created"),
)

measured = Table(
    "measured",
    metadata,
    _id(),
    _to("measurement"),
    _to("version"),
    Column("role", String(10), nullable=False),
)

finding = Table(
    "finding",
    metadata,
    _id(),
    _to("run"),
    _to("step", optional=True),
    _to("version", optional=True),
    Column("rule", String(100), nullable=False, index=True),
    Column("severity", String(10), nullable=False),
    Column("title", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("owner", String(64)),
    _time("created"),
)

erasure = Table(
    "erasure",
    metadata,
    _id(),
    _to("run"),
    _to("version"),
    Column("rows", _WHOLE, nullable=False),
    Column("reason", Text, nullable=False),
    _time("created"),
)

tombstone = Table(
    "tombstone",
    metadata,
    _id(),
    _to("erasure"),
    Column("token", String(64), nullable=False, index=True),
)

person = Table("person", metadata, _id(), Column("name", Text, nullable=False), _time("created"))

lease = Table(
    "lease",
    metadata,
    _id(),
    Column("token", Integer, nullable=False),
    Column("holder", String(200), nullable=False),
    Column("expires", Float, nullable=False),
)

progress = Table(
    "progress",
    metadata,
    Column("run", String(64), primary_key=True),
    Column("step", String(100), primary_key=True),
    Column("done", Float, nullable=False),
    Column("total", Float),
    Column("unit", String(32), nullable=False),
    Column("updated", Float, nullable=False),
)

# Runs that wait for a worker, or that one works on; the row goes when the run has ended and whoever asked was told.
queue = Table(
    "queue",
    metadata,
    _id(),  # of the run
    Column("created", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("schedule", String(200)),
)

# When each schedule was last due: whoever writes a later time first is the one that submits the run.
tick = Table("tick", metadata, Column("schedule", String(200), primary_key=True), Column("due", Float, nullable=False))

worker = Table(
    "worker",
    metadata,
    _id(),
    Column("holder", String(200), nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("started", Float, nullable=False),
    Column("seen", Float, nullable=False),
)

# What all who share the record must have alike, such as a fingerprint of their key.
shared = Table("shared", metadata, Column("name", String(32), primary_key=True), Column("value", Text, nullable=False))

# What a run used, so that a later one can be planned.
usage = Table(
    "usage",
    metadata,
    _id(),
    _to("run"),
    Column("seconds", Float, nullable=False),
    Column("stored", Float, nullable=False),
    Column("extent", Float),
    _time("created"),
)

# What calls to models cost in one execution of a run, as far as their prices are known.
spent = Table(
    "spent",
    metadata,
    _id(),
    _to("run"),
    Column("amount", Float, nullable=False),
    Column("currency", String(3), nullable=False),
    _time("created"),
)

# What a named person decided about evidence: waivers and sign-offs of a system, the fate of a finding, and revocations.
# Of several the latest counts, so that a finding's status is that of its latest decision.
decision = Table(
    "decision",
    metadata,
    _id(),
    Column("kind", String(16), nullable=False),
    Column("about", String(200), nullable=False, index=True),
    Column("details", JSON, nullable=False),
    Column("person", String(64), nullable=False),
    Column("authenticated", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    _time("until", optional=True),
    _time("created"),
)

release = Table(
    "release",
    metadata,
    _id(),
    _to("run"),
    _to("version"),  # of the system
    Column("number", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("content", JSON, nullable=False),
    Column("key", String(64), nullable=False),
    Column("person", String(64), nullable=False),
    Column("authenticated", Integer, nullable=False),
    _time("created"),
)

released = Table("released", metadata, _id(), _to("release"), _to("version"))

# What a person said of one thing of a study; of several by the same person the latest counts.
rating = Table(
    "rating",
    metadata,
    _id(),
    _to("version"),  # of the study
    Column("item", String(64), nullable=False),
    Column("person", String(64), nullable=False),
    Column("authenticated", Integer, nullable=False),
    Column("value", String(100), nullable=False),
    _time("created"),
)

# What people wrote beside a rating, which may name somebody: it can be taken back, so the journal does not know it.
remark = Table("remark", metadata, _id(), Column("text", Text, nullable=False))  # the id is the rating's

account = Table(
    "account",
    metadata,
    _id(),
    Column("name", String(200), nullable=False, unique=True),
    Column("password", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created", Float, nullable=False),
)

token = Table(
    "token",
    metadata,
    _id(),
    Column("name", String(200), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("revoked", Float),
)

session = Table(
    "session",
    metadata,
    _id(),  # the digest of what the browser holds
    Column("account", String(64), ForeignKey("account.id"), nullable=False, index=True),
    Column("created", Float, nullable=False),
    Column("expires", Float, nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _time("at"),
    Column("subject", String(32), nullable=False),
    Column("key", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("person", String(64), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
Index("ix_journal_subject", journal.c.subject, journal.c.key)

journal_head = Table(
    "journal_head",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("record", String(32), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)

JOURNALED = (
    asset,
    run,
    step,
    version,
    alias,
    edge,
    measurement,
    measured,
    finding,
    erasure,
    tombstone,
    usage,
    decision,
    release,
    released,
    rating,
    spent,
)
