"""People in Django admin: who may sign in, and with which role."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accessaudience.admin import ReadOnly
from accessaudience.roles import ADMIN
from people.audit import Kind, record
from people.models import AccessEvent, LastAdmin, Person


class PersonCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Asks for an email address where Django's own form asks for a username."""

    class Meta:
        model = Person
        fields = ("email",)


def keep_an_admin(without: Person) -> None:
    """Refuse a form that would leave the workspace without an Admin. To be saved in the same transaction."""
    try:
        Person.objects.keep_an_admin(without=without)
    except LastAdmin:
        raise ValidationError(
            "This is the only active admin. Make somebody else an admin first.", code="last_admin"
        ) from None


class PersonPasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Sets a password, or has somebody sign in by none: not the last Admin."""

    def clean(self) -> dict[str, Any]:
        """Keep an Admin who can sign in."""
        cleaned = super().clean() or {}
        if not cleaned.get("set_usable_password"):
            try:
                keep_an_admin(without=self.user)
            except ValidationError as refused:
                self.add_error("usable_password", refused)  # Django's page shows those of fields alone
        return cleaned


class PersonChangeForm(UserChangeForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Refuses to leave the workspace without an Admin. Django admin saves it in the same transaction."""

    def clean(self) -> dict[str, Any]:
        """Keep the last Admin one, and active."""
        cleaned = super().clean() or {}
        stays = cleaned.get("is_active") and any(group.name == ADMIN for group in cleaned.get("groups", []))
        if not stays:
            keep_an_admin(without=self.instance)
        return cleaned


@admin.register(Person)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Name, email address, role. What a person may do follows from the role alone."""

    form = PersonChangeForm
    add_form = PersonCreationForm
    change_password_form = PersonPasswordForm
    ordering = ("email",)
    list_display = ("email", "first_name", "last_name", "role", "is_active", "last_login")
    list_filter = ("groups", "is_active")
    search_fields = ("email", "first_name", "last_name")
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        ("Name", {"fields": ("first_name", "last_name")}),
        ("Role", {"fields": ("groups", "is_active")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "first_name", "last_name", "groups", "usable_password", "password1", "password2"),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Person]:
        """Load everybody's groups at once."""
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="role")
    def role(self, person: Person) -> str:
        """The highest role of `person`."""
        return person.role or "none"

    def save_model(self, request: HttpRequest, obj: Person, form: Any, change: bool) -> None:
        """Save; who may not sign in any more is signed out, and the change is recorded."""
        form.role_before = Person.objects.get(pk=obj.pk).role if change else None
        super().save_model(request, obj, form, change)
        if change and "is_active" in form.changed_data:
            if not obj.is_active:
                obj.end_all_access()
            record(Kind.ACTIVATED if obj.is_active else Kind.DEACTIVATED, request, f"{obj.email} in Django admin")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save the role, which then is what the groups say, and record a change of it."""
        super().save_related(request, form, formsets, change)
        person: Person = form.instance
        if person.is_superuser and not person.groups.filter(name=ADMIN).exists():
            person.is_superuser = False
            person.save(update_fields=["is_superuser"])
        before, after = form.role_before, Person.objects.get(pk=person.pk).role
        if after != before:
            words = f"{person.email} from {before or 'no role'} to {after or 'no role'} in Django admin"
            record(Kind.ROLE, request, words)

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Record a password that an admin set, or took away."""
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            record(Kind.PASSWORD, request, f"Of {Person.objects.get(pk=id).email} in Django admin")
        return response

    def delete_model(self, request: HttpRequest, obj: Person) -> None:
        """Delete, unless nobody could see to people then (of two admins who delete each other, one remains)."""
        try:
            Person.objects.keep_an_admin(without=obj)
        except LastAdmin:
            raise PermissionDenied from None
        record(Kind.DELETED, request, obj.email)
        super().delete_model(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Person | None = None) -> bool:
        """Nobody deletes themselves: so an Admin always remains."""
        return super().has_delete_permission(request, obj) and obj != request.user

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """No deleting of many at once: it would not ask has_delete_permission for each."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions


admin.site.unregister(Group)
admin.site.unregister(EmailAddress)  # the address is a field of the person
admin.site.unregister([Authenticator, UserSession])  # people see to their own; admins on the page People


@admin.register(Group)
class RoleAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """The roles, to look at: the application knows what each may do, so there is nothing to edit."""

    list_display = ("name", "members")
    fields = ("name",)
    ordering = ("id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        """Load everybody at once."""
        return super().get_queryset(request).prefetch_related("user_set")

    @admin.display
    def members(self, group: Group) -> str:
        """Who has the role."""
        return ", ".join(sorted(str(person) for person in group.user_set.all()))


@admin.register(AccessEvent)
class AccessEventAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """The record of access, to look at."""

    list_display = ("at", "kind", "person_name", "about", "address")
    list_filter = ("kind",)
    list_select_related = ("person",)
    search_fields = ("person_name", "about", "address")
    ordering = ("-id",)
