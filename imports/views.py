"""Uploading a file, the list of imports, and the page of one.

Goes in: requests. Comes out: pages, or the fragments of them that htmx asks for. Matching columns is
in imports.mapping_views.
"""

import logging
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.core.paginator import Paginator
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    QueryDict,
    UnreadablePostError,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accessaudience.bodies import takes_files
from accessaudience.errors import FileStoreError, TooMuch, too_large, too_slow
from accessaudience.htmx import render_fragment
from accessaudience.roles import MARKETER, VIEWER, has_role, role_required
from channels.models import Channel
from imports import errorfile, quota, stored
from imports.forms import ListForm, UploadForm
from imports.kept import upload_of
from imports.mapping_form import MappingForm
from imports.matching import check_again
from imports.models import ImportJob
from imports.progress import Progress
from imports.uploads import UploadHandler
from jobs.lease import request_cancel
from jobs.views import seen
from people.audit import Kind, record
from people.models import Person

log = logging.getLogger(__name__)

DISK_FULL = (
    "Nothing of the file was kept: the server's disk may be full. Try again later, or ask an admin to make room."
)
STORE_AWAY = (
    "Nothing of the file was kept: the store of files does not answer, or takes none. Try again later, or ask an admin "
    "to look at it."
)
RECENT = 4
IMPORTS_A_PAGE = 50
ERRORS_A_PAGE = 50
SAMPLE = "\r\n".join(
    (
        "\ufeffSegment name,Segment ID,Link,Active status",
        "VIP customers,vip-01,https://app.example.com/segments/vip-01,true",
        "Lapsed 90 days,lap-90,https://app.example.com/segments/lap-90,false",
        "Newsletter only,,,",
        "",
    )
)


@takes_files
@csrf_exempt  # so that nothing reads the request before its file has somewhere to go; _upload checks
@require_http_methods(["GET", "HEAD", "POST"])
@role_required(MARKETER)
def upload(request: HttpRequest) -> HttpResponseBase:
    """Take a file in, or show the form for it."""
    handler = UploadHandler(request)
    request.upload_handlers = [handler]
    refusal = _over_quota(request)
    handler.takes_none = refusal is not None
    try:
        fields = request.POST  # reads the request
    except UnreadablePostError:
        handler.upload_interrupted()
        return too_slow(request)
    if refusal:
        raise refusal
    return _upload(request, handler, fields)


def _over_quota(request: HttpRequest) -> TooMuch | None:
    """Count an upload; return why it is one too many, if it is."""
    if request.method == "POST":
        try:
            quota.take(cast(Person, request.user))
        except TooMuch as refusal:
            return refusal
    return None


@csrf_protect
def _upload(request: HttpRequest, handler: UploadHandler, fields: QueryDict) -> HttpResponse:
    if request.method != "POST":
        form = UploadForm(initial={"channel": request.GET.getlist("channel")})
        return _upload_page(request, form)
    user = cast(Person, request.user)
    try:
        if "file" not in request.FILES and (kept := upload_of(fields.get("kept", ""), user)):
            request.FILES["file"] = kept
    except OSError as error:
        form = UploadForm(fields, request.FILES)
        form.kept = fields.get("kept", "")  # it may be there later
        return _not_stored(request, form, error)
    form = UploadForm(fields, request.FILES)
    if handler.too_large:
        return too_large(request)
    if handler.not_stored:
        return _not_stored(request, form, handler.not_stored)
    try:
        if not form.is_valid():
            form.hold(user)
            return _upload_page(request, form, status=422)
        job, is_new = form.save(user)
    except OSError as error:
        return _not_stored(request, form, error)
    if is_new and not form.peek.problem and MappingForm.of_job(job, form.peek).is_valid():
        check_again(job)
    return redirect("imports:mapping", job.pk)


def _not_stored(request: HttpRequest, form: UploadForm, error: OSError) -> HttpResponse:
    log.warning("An upload could not be stored: %s", error)
    why = STORE_AWAY if isinstance(error, FileStoreError) else DISK_FULL
    form.errors.pop("file", None)  # that there is none
    form.add_error("file", ValidationError(why, code="not_stored"))
    return _upload_page(request, form, status=507)


def _upload_page(request: HttpRequest, form: UploadForm, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "channels": Channel.objects.all(),
        "recent": ImportJob.objects.for_list()[:RECENT],
        "max_size": f"{settings.IMPORT_MAX_BYTES / 2**20:g} MiB",
        "max_rows": settings.IMPORT_MAX_ROWS,
    }
    return render(request, "imports/importjob_form.html", context, status=status)


@require_safe
@role_required(VIEWER)
def sample(request: HttpRequest) -> HttpResponse:
    """Return a file that shows what an upload can look like."""
    response = HttpResponse(SAMPLE, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="segments-sample.csv"'
    return response


@require_safe
@role_required(VIEWER)
def import_list(request: HttpRequest) -> HttpResponse:
    """Show a page of the imports, newest first."""
    filters = ListForm(request.GET)
    page = Paginator(filters.matching(), IMPORTS_A_PAGE).get_page(request.GET.get("page"))
    context = {"filters": filters, "page": page, "query": _query_without_page(request)}
    return render_fragment(request, "imports/importjob_list.html", "imports/_list_table.html", context)


def _query_without_page(request: HttpRequest) -> str:
    """Return the query string to put before `page=`."""
    query = request.GET.copy()
    query.pop("page", None)
    return f"{query.urlencode()}&" if query else ""


@require_safe
@role_required(VIEWER)
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show how an import stands; who may goes on to match its columns, while that is to be done."""
    job = _import(pk)
    if job.is_matching and has_role(request.user, MARKETER):
        return redirect("imports:mapping", job.pk)
    seen(request, job)
    errors = Paginator(job.row_errors.select_related("channel"), ERRORS_A_PAGE).get_page(request.GET.get("page"))
    context = {"job": job, "progress": Progress(job), "errors": errors, "page": errors}
    return render_fragment(request, "imports/importjob_detail.html", "imports/_status.html", context)


@require_safe
@role_required(VIEWER)
def of_change_set(request: HttpRequest, change_set: int) -> HttpResponse:
    """Lead on to the import that made a change set: what lists change sets knows no imports."""
    return redirect(get_object_or_404(ImportJob, change_set=change_set))


@require_POST
@role_required(MARKETER)
def cancel(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Stop an import, if nothing of it has been written yet."""
    job = _import(pk)
    if not request_cancel(job):
        messages.error(request, "It was too late to cancel this import. You can undo it instead.")
    return redirect("imports:detail", job.pk)


@require_POST
@role_required(MARKETER)
def dismiss(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show an import on the overview no longer: somebody has seen what was wrong with it."""
    ImportJob.objects.filter(pk=_import(pk).pk, dismissed_at=None).update(dismissed_at=timezone.now())
    return redirect("overview")


@require_safe
@role_required(VIEWER)
def errors(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Return the rows that were left out, as they were in the file, to be mended and uploaded again."""
    job = _import(pk)
    try:
        file = default_storage.open(stored.name_of(job, errorfile.NAME))
    except FileNotFoundError:
        raise Http404("This import left out no rows with errors.") from None
    record(Kind.EXPORT, request, f"Rows with errors of {job.file_name}")
    stem = job.file_name.rpartition(".")[0] or job.file_name
    response = FileResponse(file, as_attachment=True, filename=f"{stem}-errors.csv")
    response["Content-Type"] = "text/csv; charset=utf-8"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _import(pk: UUID) -> Any:
    return get_object_or_404(ImportJob.objects.for_list(), pk=pk)
