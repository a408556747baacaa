"""The application's settings, with a data folder of the tests' own, cheap passwords and uncollected static files.

Processes that a test starts inherit DJANGO_SETTINGS_MODULE and DATA_DIR, and so share all of it.
"""

import atexit
import os
import shutil
import tempfile

WHOLE_RUN, WORKER = os.environ.get("TESTS_DATA_DIR"), os.environ.get("PYTEST_XDIST_WORKER")
if "DATA_DIR" not in os.environ:
    WHOLE_RUN = os.environ["TESTS_DATA_DIR"] = os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="accessaudience-tests-")
    atexit.register(shutil.rmtree, WHOLE_RUN, ignore_errors=True)
elif WORKER and os.environ["DATA_DIR"] == WHOLE_RUN:  # one of several that run tests: nothing is shared
    os.environ["DATA_DIR"] = os.path.join(WHOLE_RUN, WORKER)
os.environ.setdefault("SECRET_KEY", "for tests only, and long enough for the checks: 0123456789")
os.environ.setdefault("ENCRYPTION_KEYS", "dGVzdHMgb25seTogdGhlc2UgYXJlIDMyIGJ5dGVzISE=")

from accessaudience.settings import *  # noqa: E402, F403
from accessaudience.settings import DATA_DIR, DATABASES, EMBEDDED, STORAGES  # noqa: E402

STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
if not EMBEDDED:  # do not wait for the disk: no test asks whether a commit outlives a power cut
    DATABASES["default"]["OPTIONS"]["options"] += " -c synchronous_commit=off"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
