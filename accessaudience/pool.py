"""Connections to PostgreSQL that the threads of one process of the web server share.

Goes in: DATABASE_POOL. Comes out: the settings of the database, changed before its first connection. Must not know: who
asks for connections. It is psycopg's pool, as Django offers it: at most DATABASE_POOL, as many open as are in use at
once, each looked at before it is used. Begun in each process itself, as a pool has threads, which a fork leaves behind.
"""

from django.conf import settings
from django.db import connections

PATIENCE = 10  # seconds to wait for a connection: the pool tries lost ones one by one, 1, 2 and 4 s apart


def share_connections() -> None:
    """Let the connections that this process opens from now on come from a pool, where one is asked for."""
    if settings.DATABASE_POOL:
        database = connections.settings["default"]
        database["CONN_MAX_AGE"] = 0  # each goes back at the end of its request
        database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": settings.DATABASE_POOL, "timeout": PATIENCE}
