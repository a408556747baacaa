"""Paths of the Segments tab, of Across channels, of Activity, and of undoing a change."""

from django.urls import include, path

from segments import access_views, change_views, rename_views, views
from segments.across import views as across_views
from segments.activity import views as activity_views
from segments.bulk import views as bulk_views
from segments.undo import views as undo_views

app_name = "segments"

of_channel = [
    path("", views.segment_list, name="list"),
    path("add/", change_views.add, name="add"),
    path("bulk/", bulk_views.act, name="bulk"),
    path("bulk/<uuid:pk>/", bulk_views.job, name="bulk_job"),
    path("bulk/<uuid:pk>/cancel/", bulk_views.cancel, name="cancel_bulk"),
    path("export/", views.export, name="export"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/edit/", change_views.edit, name="edit"),
    path("<int:pk>/rename/", rename_views.rename, name="rename"),
    path("<int:pk>/status/", change_views.status, name="status"),
    path("<int:pk>/restore/", change_views.restore, name="restore"),
    path("<int:pk>/delete/", change_views.delete, name="delete"),
]

urlpatterns = [
    path("channels/<slug:slug>/segments/", include(of_channel)),
    path("segments/", across_views.across, name="across"),
    path("segments/export/", across_views.export, name="across_export"),
    path("activity/", activity_views.activity, name="activity"),
    path("activity/export/", activity_views.export, name="activity_export"),
    path("activity/access/", access_views.access, name="access"),
    path("activity/access/export/", access_views.export, name="access_export"),
    path("activity/<int:pk>/", activity_views.change, name="change"),
    path("activity/<int:pk>/undoing/", activity_views.being_undone, name="being_undone"),
    path("activity/<int:pk>/undo/", undo_views.undo, name="undo"),
    path("activity/<int:pk>/undo/cancel/", undo_views.cancel, name="cancel_undo"),
]
