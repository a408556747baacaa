"""Matching the columns of an uploaded file, seeing what would happen, and starting it.

Goes in: requests for an import of which nothing has been started. Comes out: the mapping page, or
the parts of it that a change concerns, each swapped in by its id. Must not know: how files are read.
"""

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_http_methods, require_POST

from accessaudience.htmx import wants_fragment
from accessaudience.roles import MARKETER, role_required
from imports.mapping_form import MappingForm
from imports.matching import check_again, peek_as, peek_at, set_aside
from imports.matching import discard as discard_upload
from imports.matching import start as start_import
from imports.models import ImportJob
from imports.preview import Preview
from imports.progress import Progress
from jobs.models import Status
from jobs.quota import may_wait
from jobs.views import seen
from people.models import Person


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(MARKETER)
def mapping(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show how the columns are matched and what an import would do; a change checks the file anew."""
    job = _import(pk)
    if not job.is_matching:
        return _moved_on(request, job)
    if request.method != "POST":
        seen(request, job)
        return _page(request, job, MappingForm.of_job(job, peek_at(job)))
    form = change(job, MappingForm(request.POST, peek_at(job)), cast(Person, request.user))
    job = _import(pk)
    return _page(request, job, form) if job.is_matching else _moved_on(request, job)


def change(job: ImportJob, form: MappingForm, user: Person) -> MappingForm:
    """Note what `form` says and check the file with it; return the form, anew where the columns are others now.

    From here on the import is `user`'s: whoever uploaded it may be gone.
    """
    changes: dict[str, Any] = {}
    encoding, delimiter = form.reading
    if (encoding or job.encoding, delimiter or job.delimiter) != (job.encoding, job.delimiter):
        peek = peek_as(job, encoding, delimiter)
        form = form.for_other_columns(peek)
        changes = {
            "chosen_encoding": encoding,
            "chosen_delimiter": delimiter,
            "encoding": peek.dialect.encoding,
            "delimiter": peek.dialect.delimiter,
            "header": peek.header,
        }
    changes |= {"user": user, "mapping": form.mapping, "on_duplicate": form.text("on_duplicate") or job.on_duplicate}
    if form.is_valid() and not form.peek.problem:
        check_again(job, **changes)
    else:
        set_aside(job, **changes)
    return form


@require_POST
@role_required(MARKETER)
def stop(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End a check that takes long; the columns stay as they are matched."""
    job = _import(pk)
    set_aside(job)
    return redirect("imports:mapping", job.pk)


@require_POST
@role_required(MARKETER)
def discard(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Delete an upload that nobody has started to import; sent twice, it is gone once."""
    job = ImportJob.objects.filter(pk=pk).first()
    if job is None:
        messages.info(request, "This upload is no longer here.")
    elif job.is_matching and discard_upload(job):
        messages.success(request, f"“{job.file_name}” is discarded. Nothing of it was imported.")
    else:
        messages.error(request, "It was too late to discard this upload: its import has been started.")
        return redirect("imports:detail", pk)
    return redirect("imports:list")


@require_POST
@role_required(MARKETER)
def start(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Put the import into the queue.

    What was changed after the last check is checked first, and shown before it is imported, unless
    every row is ready.
    """
    job, user = _import(pk), cast(Person, request.user)
    if not job.is_matching:
        return redirect("imports:detail", job.pk)
    peek = peek_at(job)
    form = MappingForm(request.POST, peek) if "name_from" in request.POST else MappingForm.of_job(job, peek)
    if job.status != Status.READY or not form.says_what(job):
        change(job, form, user)
        if job.status != Status.READY or job.leaves_rows_out:
            messages.warning(
                request, "This had not been checked yet. Look at the preview, then press Upload and Import."
            )
            return redirect("imports:mapping", job.pk)
    may_wait(user)
    start_import(job, user)
    return redirect("imports:detail", job.pk)


def _page(request: HttpRequest, job: ImportJob, form: MappingForm) -> HttpResponse:
    """Show the page; to htmx its parts, but the whole form where the columns are others than before."""
    context = {
        "job": job,
        "form": form,
        "peek": form.peek,
        "is_valid": form.is_valid(),
        "progress": Progress(job),
        "preview": Preview.of(job, request.GET),
        "guessed": form.peek.dialect.guessed or job.guessed_encoding,
    }
    template = "imports/importjob_mapping.html"
    if wants_fragment(request):
        template = "imports/_matching.html" if form.is_for_other_columns else "imports/_matching_parts.html"
    response = render(request, template, context)
    if form.is_for_other_columns:
        response["HX-Retarget"], response["HX-Reswap"] = "#matching", "outerHTML"
    patch_vary_headers(response, ["HX-Request"])
    return response


def _moved_on(request: HttpRequest, job: ImportJob) -> HttpResponse:
    """Lead to the import's page: it has been started, or has ended."""
    page = job.get_absolute_url()
    return HttpResponse(status=204, headers={"HX-Redirect": page}) if wants_fragment(request) else redirect(page)


def _import(pk: UUID) -> Any:
    return get_object_or_404(ImportJob.objects.for_list(), pk=pk)
