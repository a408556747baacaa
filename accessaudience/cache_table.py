"""What processes share for a while, in a table of the database: tries to sign in, codes that were used.

Goes in: keys and values. Comes out: the same, for as long as they are kept. Must not know: what is kept.
"""

from typing import Any

from django.core.cache.backends.db import DatabaseCache


class CacheTable(DatabaseCache):
    """Django's, which would make room beyond 300 rows: whoever fills it could have the tries of others forgotten."""

    def _cull(self, db: Any, cursor: Any, now: Any, num: int) -> None:
        """Remove what is over, and nothing else."""
        super()._cull(db, cursor, now, 0)  # type: ignore[misc]  # not in the stubs
