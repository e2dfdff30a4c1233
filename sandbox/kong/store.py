"""Where entities live: one JSONB table in PostgreSQL, or memory filled once from a declarative file."""

import asyncio
from collections import defaultdict
from typing import Any, Protocol, cast

import psycopg
from psycopg.types.json import Jsonb

from sandbox.kong.schemas import Row
from sandbox.kong.settings import setting

TABLE = "CREATE TABLE entities (kind text, id text, body jsonb, born bigserial, PRIMARY KEY (kind, id))"


class Down(Exception):
    """The database does not answer."""


class Store(Protocol):
    """Entities by kind; every method raises Down."""

    async def rows(self, kind: str) -> list[Row]: ...

    async def save(self, kind: str, row: Row) -> None: ...

    async def remove(self, kind: str, row: Row) -> None: ...


class Postgres:
    """The table, over one connection that is opened again after it broke."""

    def __init__(self) -> None:
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()

    async def query(self, sql: str, *values: Any) -> list[Any]:
        """Run one statement and return its rows; raises Down."""
        try:
            async with self._turn, asyncio.timeout(5):
                self._connection = self._connection or await psycopg.AsyncConnection.connect(
                    host=setting("PG_HOST", "127.0.0.1"),
                    port=setting("PG_PORT", "5432"),
                    user=setting("PG_USER", "kong"),
                    password=setting("PG_PASSWORD"),
                    dbname=setting("PG_DATABASE", "kong"),
                    autocommit=True,
                )
                cursor = await self._connection.execute(cast(Any, sql), values)
                return await cursor.fetchall() if cursor.description else []
        except (psycopg.OperationalError, TimeoutError) as error:
            self._connection = None
            raise Down(
                f"[PostgreSQL error] failed to retrieve PostgreSQL server_version_num: {error or 'timeout'}"
            ) from error

    async def bootstrapped(self) -> bool:
        return (await self.query("SELECT to_regclass('entities')"))[0][0] is not None

    async def rows(self, kind: str) -> list[Row]:
        return [body for (body,) in await self.query("SELECT body FROM entities WHERE kind = %s ORDER BY born", kind)]

    async def save(self, kind: str, row: Row) -> None:
        await self.query(
            "INSERT INTO entities VALUES (%s, %s, %s) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            kind,
            row["id"],
            Jsonb(row),
        )

    async def remove(self, kind: str, row: Row) -> None:
        await self.query("DELETE FROM entities WHERE kind = %s AND id = %s", kind, row["id"])


class Memory:
    """What a declarative file says."""

    def __init__(self) -> None:
        self._rows: defaultdict[str, dict[str, Row]] = defaultdict(dict)

    async def rows(self, kind: str) -> list[Row]:
        return list(self._rows[kind].values())

    async def save(self, kind: str, row: Row) -> None:
        self._rows[kind][row["id"]] = row

    async def remove(self, kind: str, row: Row) -> None:
        del self._rows[kind][row["id"]]
