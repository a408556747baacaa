"""Import a file with django-import-export, into the same table and with the same values; run by peers.py.

    python bench/peer.py fastest | checked | mine FILE

Prints how many rows are new, and the seconds from opening the file to the end; the start of Python and Django, which a
web server or a worker has behind it, is left out. `mine` is our own import, whole: the job, its check and its history.

`fastest` is what its documentation on bulk imports and its performance notes add up to: `use_bulk` with the default
batch of 1,000 (in trials as fast as larger ones), `skip_diff` and `skip_html_diff`, no transaction around all,
`force_init_instance`, so that no row is looked up, and no validation by the model. Its results are not kept per row
either (`report_skipped`). What it gives up: it finds no double, updates nothing, and a bad row fails its whole batch.

`checked` is the package as it comes, with `clean_model_instances`: each row is looked up by its Segment ID, compared
with what is there, validated by the model (which asks the database whether it is unique), and saved. A link is held
against Django's own URLValidator, as the model leaves that to the forms.

In both, the status words of the file are turned to a flag by the package's BooleanWidget, and the three keys that the
table asks for are made by the functions that our own import makes them with. Neither writes a history.
"""

import json
import os
import sys
import time
from io import StringIO

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "accessaudience.settings")

import django

django.setup()

import tablib
from django.core.management import call_command
from django.core.validators import URLValidator
from django.utils import timezone
from import_export import fields, resources, widgets

from channels.models import Channel
from segments.models import ChangeSet, Segment, Source
from segments.values import ACTIVE_WORDS, folded_key, identity_key


class StatusWidget(widgets.BooleanWidget):
    """The package's own, for the words that our files have."""

    TRUE_VALUES = [form for word, on in ACTIVE_WORDS.items() if on for form in (word, word.upper(), word.title())]
    FALSE_VALUES = [form for word, on in ACTIVE_WORDS.items() if not on for form in (word, word.upper(), word.title())]


class LinkWidget(widgets.CharWidget):
    """A web address, or nothing."""

    valid = URLValidator(["http", "https"])

    def clean(self, value, row=None, **options):
        """Return the link; raise ValidationError if it is none."""
        link = super().clean(value, row, **options)
        if link:
            self.valid(link)
        return link


class Fastest(resources.ModelResource):
    """Segments as fast as the package can."""

    name = fields.Field(column_name="Segment Name", attribute="name")
    segment_id = fields.Field(column_name="Segment ID", attribute="segment_id")
    link = fields.Field(column_name="URL", attribute="link")
    active = fields.Field(column_name="Active", attribute="active", widget=StatusWidget())

    class Meta:
        model = Segment
        fields = ("name", "segment_id", "link", "active")
        import_id_fields = ()
        use_bulk = True
        skip_diff = True
        skip_html_diff = True
        report_skipped = False
        use_transactions = False
        force_init_instance = True

    def before_import(self, dataset, **options):
        """Make what every row names: the change set; find the channel."""
        self.channel = Channel.objects.get(slug="email")
        self.change_set = ChangeSet.objects.create(kind=ChangeSet.Kind.IMPORT)
        self.now = timezone.now()

    def before_save_instance(self, instance, row, **options):
        """Give the row the keys and origins that the table asks for."""
        self.complete(instance)

    def complete(self, segment):
        """Fill in what is not in the file."""
        segment.channel, segment.source = self.channel, Source.CSV
        segment.created_in = segment.last_change = self.change_set
        segment.updated_at = self.now
        segment.identity_key = identity_key(segment.name, segment.segment_id)
        segment.name_key = folded_key(segment.name)
        segment.id_key = folded_key(segment.segment_id) if segment.segment_id else ""


class Checked(Fastest):
    """Segments looked up, compared and validated one by one."""

    link = fields.Field(column_name="URL", attribute="link", widget=LinkWidget())

    class Meta:
        model = Segment
        fields = ("name", "segment_id", "link", "active")
        import_id_fields = ("segment_id",)
        clean_model_instances = True

    def get_instance(self, instance_loader, row):
        """Look a row up by its Segment ID, as the package does, if it has one."""
        return super().get_instance(instance_loader, row) if row["Segment ID"] else None

    def import_instance(self, instance, row, **options):
        """Fill in what is not in the file before the row is validated."""
        super().import_instance(instance, row, **options)
        self.complete(instance)


def theirs(form, path):
    """Import `path` by the package; return how many rows are new."""
    with open(path, encoding="utf-8", newline="") as file:
        dataset = tablib.Dataset().load(file, format="csv")
    result = {"fastest": Fastest, "checked": Checked}[form]().import_data(dataset, raise_errors=True)
    if result.has_validation_errors():
        sys.exit(f"{len(result.invalid_rows)} rows are not valid, among them {result.invalid_rows[0].error}")
    return result.totals["new"]


def mine(path):
    """Import `path` by our own command; return how many rows are new."""
    out = StringIO()
    call_command("import_segments", path, "--channel", "email", "--json", stdout=out)
    return json.loads(out.getvalue().splitlines()[-1])["created"]


def main():
    """Import the file that `sys.argv` names."""
    form, path = sys.argv[1:]
    started = time.perf_counter()
    new = mine(path) if form == "mine" else theirs(form, path)
    print(json.dumps({"new": new, "seconds": time.perf_counter() - started}))


main()
