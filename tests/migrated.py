"""The database as the migrations left it, brought back after each test that commits.

Goes in: the database under test, migrated. Comes out: the same rows again, whatever a test and its processes left.
Django would empty every table, and write every row of the migrations anew: ten times the work of looking what differs.
"""

from typing import Any

from django.db import connection, transaction

Rows = list[tuple[Any, ...]]


class Migrated:
    """The rows of every table that has some once the migrations have run."""

    def __init__(self) -> None:
        self._tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        self._kept = {table: rows for table in self._tables if (rows := self._rows(table))}

    def bring_back(self) -> None:
        """Write what differs, when nobody else is writing any more."""
        with transaction.atomic(), connection.cursor() as cursor:  # on SQLite it waits for who writes
            if connection.vendor == "postgresql":
                names = ", ".join(map(connection.ops.quote_name, self._tables))
                cursor.execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
            differing = self._differing()
            for table in differing:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
            for table in differing:
                for row in self._kept.get(table, []):
                    values = ", ".join(["%s"] * len(row))
                    cursor.execute(f"INSERT INTO {connection.ops.quote_name(table)} VALUES ({values})", row)

    def _differing(self) -> list[str]:
        """The tables that have rows and should not, or other rows than they should."""
        some = [
            f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {connection.ops.quote_name(table)})"
            for table in self._tables
            if table not in self._kept
        ]
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(some))
            filled = [name for (name,) in cursor.fetchall()]
        return filled + [table for table, rows in self._kept.items() if self._rows(table) != rows]

    def _rows(self, table: str) -> Rows:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)} ORDER BY 1")
            rows: Rows = cursor.fetchall()
            return rows
