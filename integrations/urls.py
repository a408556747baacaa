"""Paths of integrations: accounts and settings."""

from django.urls import path

from integrations import views

app_name = "integrations"

urlpatterns = [
    path("integrations/", views.account_list, name="list"),
    path("integrations/klaviyo/", views.connect, name="connect"),
    path("integrations/klaviyo/test/", views.test_key, name="test_key"),
    path("integrations/klaviyo/<int:pk>/test/", views.test, name="test"),
    path("integrations/klaviyo/<int:pk>/key/", views.replace_key, name="key"),
    path("integrations/klaviyo/<int:pk>/disconnect/", views.disconnect, name="disconnect"),
]
