"""`manage.py index_search`: make the index of the search anew."""

from typing import Any

from django.core.management.base import BaseCommand

from segments.models import SearchBacklog, SearchText
from segments.search import index


class Command(BaseCommand):
    help = (
        "Make the index of the search anew, and the one of trigrams if PostgreSQL has the extension pg_trgm by now. "
        "Searches stay right meanwhile. SQLite needs no such index."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Index everything, in the foreground."""
        if not SearchBacklog.is_kept():
            self.stdout.write("SQLite searches without an index of its own: nothing to do.")
            return
        has_trigrams = index.make_trigrams()
        index.rebuild()
        while SearchBacklog.objects.exists():
            index.catch_up()
        with_or_without = "with" if has_trigrams else "without"
        self.stdout.write(f"{SearchText.objects.count():,} segments are indexed, {with_or_without} trigrams.")
