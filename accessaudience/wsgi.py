"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "accessaudience.settings")
application = get_wsgi_application()
get_resolver().url_patterns  # noqa: B018  # loads every page, so that no first request does, nor each process by itself
