"""Paths of uploads and imports."""

from django.urls import include, path

from imports import mapping_views, views

app_name = "imports"

of_import = [
    path("", views.detail, name="detail"),
    path("mapping/", mapping_views.mapping, name="mapping"),
    path("mapping/stop/", mapping_views.stop, name="stop"),
    path("start/", mapping_views.start, name="start"),
    path("cancel/", views.cancel, name="cancel"),
    path("discard/", mapping_views.discard, name="discard"),
    path("dismiss/", views.dismiss, name="dismiss"),
    path("errors.csv", views.errors, name="errors"),
]

urlpatterns = [
    path("upload/", views.upload, name="upload"),
    path("upload/sample.csv", views.sample, name="sample"),
    path("imports/", views.import_list, name="list"),
    path("imports/of/<int:change_set>/", views.of_change_set, name="of_change_set"),
    path("imports/<uuid:pk>/", include(of_import)),
]
