"""Paths of signing in and out, and of one's own account. Only what is built is routed.

Signing in and out and changing the password are django-allauth's views under its URL names.
"""

from django.urls import include, path

from people import views

urlpatterns = [
    path("accounts/login/", views.sign_in, name="account_login"),
    path("accounts/logout/", views.sign_out, name="account_logout"),
    path("accounts/password/", views.change_password, name="account_change_password"),
    path("", include(([path("theme/", views.theme, name="theme")], "people"))),
]
