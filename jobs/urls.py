"""Paths of the bell."""

from django.urls import path

from jobs import views

app_name = "jobs"

urlpatterns = [
    path("notifications/", views.notices, name="notices"),
    path("notifications/read/", views.read, name="read"),
]
