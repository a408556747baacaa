"""What people send to the upload page and the list of imports, turned into what the code wants.

Goes in: POST data and a file, or a filter. Comes out: a stored ImportJob, or imports. Must not
know: requests, responses, how an import is done. The form of the mapping page is imports.mapping_form.
"""

from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import QueryDict

from channels.models import Channel
from imports import uploads
from imports.kept import KeptUpload, refer
from imports.mapping import Mapping, is_of_people, looks_like_people
from imports.matching import limits
from imports.models import ImportChannel, ImportJob, ImportJobQuerySet
from imports.peek import Column, Peek
from imports.unreadable import UnreadableFile
from jobs.models import Status
from people.models import Person

NOT_KEPT = ("not_csv", "empty_file", "no_data_rows")  # no choice on the mapping page can help these


class UploadForm(forms.Form):
    """Takes a file for one or several channels.

    `token` becomes the primary key of the import: the same form sent again, or twenty times at
    once, is one import.
    """

    token = forms.UUIDField(required=False, initial=uuid4, widget=forms.HiddenInput)
    object_type = forms.ChoiceField(
        label="Object type",
        choices=[("segments", "Segments")],
        initial="segments",
        error_messages={"required": "Choose what the rows are."},
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    channel = forms.ModelMultipleChoiceField(
        Channel.objects.all(),
        to_field_name="slug",
        label="Target channels",
        error_messages={
            "required": "Choose at least one channel.",
            "invalid_choice": "There is no channel “%(value)s” any more. Choose another.",
        },
    )
    file = forms.FileField(
        label="CSV file",
        max_length=None,
        error_messages={
            "required": "Choose a CSV file.",
            "empty": "The file is empty. Export it again, then upload that file.",
        },
    )
    people_confirmed = forms.BooleanField(required=False)

    peek: Peek  # of the file, once it is clean
    kept = ""  # the reference to a file that need not be chosen again

    def clean_token(self) -> UUID:
        """Return the token of the form, or a new one where a client has sent none."""
        return self.cleaned_data["token"] or uuid4()

    def clean_file(self) -> Any:
        """Return the upload if it can be read, as far as its top tells; its name becomes text to show."""
        upload = self.cleaned_data["file"]
        upload.shown_name = uploads.shown_name(upload.name)
        try:
            uploads.refuse_by_content(upload.file.read(uploads.HEAD), upload.shown_name)
        except UnreadableFile as refused:
            raise ValidationError(refused.message, code=refused.code) from None
        peek = Peek(upload.file, limits())
        if peek.problem and peek.problem.code in NOT_KEPT:
            raise ValidationError(peek.problem.message, code=peek.problem.code)
        upload.file.seek(0)
        self.peek = peek
        return upload

    def clean(self) -> dict[str, Any]:
        """Refuse what looks like a list of people, until somebody has said that it is none."""
        cleaned = super().clean() or self.cleaned_data
        upload = cleaned.get("file")
        if upload and looks_like_people(self.peek.header) and not cleaned["people_confirmed"]:
            self.add_error("file", ValidationError("This looks like a list of people, not of segments", code="people"))
        return cleaned

    @property
    def refusal(self) -> ValidationError | None:
        """Why the file was refused, if it was: `code` and `message`."""
        errors = self.errors.as_data().get("file") if self.is_bound else None
        return errors[0] if errors else None

    @property
    def file_name(self) -> str:
        """The name of the refused file."""
        upload = self.files.get("file")
        return uploads.shown_name(upload.name or "") if upload else ""

    @property
    def people_columns(self) -> list[Column]:
        """The columns of the refused file that lists of people have."""
        return [column for column in self.peek.columns if is_of_people(column.header)]

    @property
    def chosen(self) -> list[str]:
        """The slugs of the ticked channels."""
        if isinstance(self.data, QueryDict) and self.is_bound:
            return self.data.getlist("channel")
        return list(self.initial.get("channel", ()))

    def hold(self, user: Person) -> None:
        """Keep a good file of a form in which something else is missing: `kept` is to come with the form again."""
        upload = self.cleaned_data.get("file")
        if upload:
            stored = upload.kept if isinstance(upload, KeptUpload) else uploads.keep(uuid4(), upload)
            self.kept = refer(stored, upload.shown_name, user)

    def save(self, user: Person) -> tuple[ImportJob, bool]:
        """Store the file and return its import, and whether it is new: a token is good for one.

        Another file, or for other channels, under a token that is used up is another import: a
        browser may show a form once more that it has sent. The file comes before its row, outside any
        transaction: between two disks to store it is to copy it. One that was kept has its own token.
        """
        token, upload = self.cleaned_data["token"], self.cleaned_data["file"]
        was_kept = upload.kept if isinstance(upload, KeptUpload) else None
        first = self._sent_before(was_kept.job if was_kept else token)
        if first and self._repeats(first, user):
            return first, False
        kept = uploads.keep(uuid4(), upload) if first else was_kept or uploads.keep(token, upload)
        try:
            return self._create(user, kept), True
        except IntegrityError:  # sent twice at once, and the other was first
            first = self._sent_before(kept.job)
            if first and not self._repeats(first, user):
                kept = uploads.keep_apart(kept)
                return self._create(user, kept), True
            uploads.forget(kept)
            if not first:
                raise
            return first, False

    @staticmethod
    def _sent_before(token: UUID) -> ImportJob | None:
        return ImportJob.objects.filter(pk=token).first()

    def _repeats(self, first: ImportJob, user: Person) -> bool:
        """Whether what was sent is what `first` was made of."""
        same_channels = set(first.channels.all()) == set(self.cleaned_data["channel"])
        return same_channels and (first.user, first.sha256) == (user, self.cleaned_data["file"].sha256)

    def _create(self, user: Person, kept: uploads.Kept) -> ImportJob:
        """Make the import of a stored file; IntegrityError if there is one."""
        data, peek = self.cleaned_data, self.peek
        with transaction.atomic():
            job = ImportJob.objects.create(
                pk=kept.job,
                user=user,
                status=Status.UPLOADED,
                goal=ImportJob.Goal.CHECK,
                object_type=data["object_type"],
                file=kept.name,
                file_name=data["file"].shown_name,
                size=kept.size,
                sha256=kept.sha256,
                people_confirmed=data["people_confirmed"],
                encoding=peek.dialect.encoding,
                delimiter=peek.dialect.delimiter,
                header=peek.header,
                mapping=suggested(peek).to_json(),
            )
            ImportChannel.objects.bulk_create(ImportChannel(job=job, channel=channel) for channel in data["channel"])
        return job


def suggested(peek: Peek) -> Mapping:
    """Return the mapping that the file's headers suggest."""
    return Mapping({name: suggestion.column for name, suggestion in peek.suggestions.items()})


class ListForm(forms.Form):
    """What the list of imports shows: part of the file's name, a channel, a result."""

    RESULTS = (
        ("", "All results"),
        ("ready", "Ready to import"),
        ("done", "Done"),
        ("errors", "With errors"),
        ("failed", "Failed"),
        ("undone", "Undone"),
    )

    q = forms.CharField(
        label="Search by file name",
        required=False,
        widget=forms.TextInput(attrs={"class": "form-control", "type": "search", "placeholder": "Search by file name"}),
    )
    channel = forms.ModelChoiceField(
        Channel.objects.all(),
        label="Channel",
        required=False,
        to_field_name="slug",
        empty_label="All channels",
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    result = forms.ChoiceField(
        label="Result", choices=RESULTS, required=False, widget=forms.Select(attrs={"class": "form-select"})
    )

    def matching(self) -> ImportJobQuerySet:
        """Return the imports that match; what cannot be understood is not filtered by."""
        self.is_valid()
        q, channel, result = (self.cleaned_data.get(name) for name in ("q", "channel", "result"))
        imports = ImportJob.objects.for_list()
        if q:
            imports = imports.filter(file_name__icontains=q)
        if channel:
            imports = imports.filter(channels=channel)
        if result == "errors":
            imports = imports.with_errors()
        elif result == "undone":
            imports = imports.undone()
        elif result:
            imports = imports.filter(status=result)
        return imports

    @property
    def is_used(self) -> bool:
        """Whether anything is filtered by."""
        return any(self.data.get(name) for name in self.fields)
