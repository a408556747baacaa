"""What processes share for a while: in Redis, and while that is away, in the table that serves where there is none.

Goes in: keys and values. Comes out: the same, for as long as they are kept. Tries to sign in are counted here, so
neither may a Redis that is away let anybody in who tries for ever, nor keep everybody out: the count begins anew in the
table, which all processes share as well. Must not know: what is kept.
"""

import logging
import time
from typing import Any, ClassVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.redis import RedisCache
from redis import RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from accessaudience.cache_table import CacheTable

log = logging.getLogger(__name__)

TABLE = "shared_cache"
PATIENCE = 1.0  # seconds
SPARED = 5.0  # seconds after a failure in which nobody is made to wait for Redis again


class RedisOrDatabase(BaseCache):
    """A cache in Redis that goes on in the database."""

    _spared_until: ClassVar[float] = 0.0  # of the process: each thread has a cache of its own

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        once_more = Retry(NoBackoff(), 1)  # the connection may be from before Redis was started again
        options = {"socket_connect_timeout": PATIENCE, "socket_timeout": PATIENCE, "retry": once_more}
        self._redis = RedisCache(location, {**params, "OPTIONS": options})
        self._database = CacheTable(TABLE, params)

    def _do(self, what: str, *args: Any) -> Any:
        if time.monotonic() >= RedisOrDatabase._spared_until:
            try:
                return getattr(self._redis, what)(*args)
            except (RedisError, OSError) as error:
                RedisOrDatabase._spared_until = time.monotonic() + SPARED
                log.warning("Redis does not answer, the database is used instead: %s", error)
        return getattr(self._database, what)(*args)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Keep `value` if there is none yet; whether that is so."""
        return bool(self._do("add", key, value, timeout, version))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return the value, or `default`."""
        return self._do("get", key, default, version)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Keep `value`."""
        self._do("set", key, value, timeout, version)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Keep the value longer; whether there is one."""
        return bool(self._do("touch", key, timeout, version))

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Forget the value; whether there was one."""
        return bool(self._do("delete", key, version))

    def clear(self) -> None:
        """Forget everything."""
        self._do("clear")
