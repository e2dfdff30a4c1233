"""Where entities live: one JSONB table in PostgreSQL, or memory filled once from a declarative file."""

import asyncio
from collections import defaultdict
from typing import Any, cast

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from sandbox.kong.schemas import Row
from sandbox.kong.settings import setting

TABLE = "CREATE TABLE entities (kind text, id text, body jsonb, born bigserial, PRIMARY KEY (kind, id))"


class DownError(Exception):
    """The database does not answer."""


class Postgres:
    """The table, over one connection that is opened again after it broke."""

    def __init__(self) -> None:
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()

    async def query(self, sql: str, *values: Any) -> list[Any]:
        """Run one statement and return its rows; raises DownError."""
        try:
            async with self._turn, asyncio.timeout(5):
                self._connection = self._connection or await _connected()
                cursor = await self._connection.execute(cast(Any, sql), values)
                return await cursor.fetchall() if cursor.description else []
        except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError) as error:
            self._connection = None
            why = str(error).strip() or "timeout"
            raise DownError(f"[PostgreSQL error] failed to retrieve PostgreSQL server_version_num: {why}") from error

    async def bootstrapped(self) -> bool:
        return (await self.query("SELECT to_regclass('entities')"))[0][0] is not None

    async def rows(self, kind: str) -> list[Row]:
        return [body for (body,) in await self.query("SELECT body FROM entities WHERE kind = %s ORDER BY born", kind)]

    async def save(self, kind: str, row: Row) -> None:
        upsert = "INSERT INTO entities VALUES (%s, %s, %s) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body"
        await self.query(upsert, kind, row["id"], Jsonb(row))

    async def remove(self, kind: str, row: Row) -> None:
        await self.query("DELETE FROM entities WHERE kind = %s AND id = %s", kind, row["id"])


async def _connected() -> psycopg.AsyncConnection[Any]:
    where = {"host": setting("PG_HOST", "127.0.0.1"), "port": setting("PG_PORT", "5432")}
    login = {"user": setting("PG_USER", "kong"), "password": setting("PG_PASSWORD")}
    address = make_conninfo(dbname=setting("PG_DATABASE", "kong"), **where, **login)
    return await psycopg.AsyncConnection.connect(address, autocommit=True)


class Memory:
    """The entities of a declarative file."""

    def __init__(self) -> None:
        self._rows: defaultdict[str, dict[str, Row]] = defaultdict(dict)

    async def rows(self, kind: str) -> list[Row]:
        return list(self._rows[kind].values())

    async def save(self, kind: str, row: Row) -> None:
        self._rows[kind][row["id"]] = row

    @property
    def empty(self) -> bool:
        """Whether there is no entity."""
        return not any(self._rows.values())

    async def remove(self, kind: str, row: Row) -> None:
        del self._rows[kind][row["id"]]


Store = Postgres | Memory
