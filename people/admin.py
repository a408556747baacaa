"""People in Django admin: who may sign in, and with which role."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from accessaudience.roles import ADMIN, ROLES
from people.models import Person


class PersonCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Asks for an email address where Django's own form asks for a username."""

    class Meta:
        model = Person
        fields = ("email",)


class PersonChangeForm(UserChangeForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Refuses to leave the workspace without an Admin."""

    def clean(self) -> dict[str, Any]:
        """Keep the last Admin one, and active."""
        cleaned = super().clean() or {}
        stays = cleaned.get("is_active") and any(group.name == ADMIN for group in cleaned.get("groups", []))
        if not stays and not Person.objects.admins().exclude(pk=self.instance.pk).exists():
            raise ValidationError(
                "This is the only active admin. Make somebody else an admin first.", code="last_admin"
            )
        return cleaned


@admin.register(Person)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Name, email address, role. What a person may do follows from the role alone."""

    form = PersonChangeForm
    add_form = PersonCreationForm
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
        names = {group.name for group in person.groups.all()}
        if person.is_superuser:
            return ROLES[-1]
        return next((role for role in reversed(ROLES) if role in names), "none")

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
class RoleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
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

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Roles are made by a migration."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """A role is changed in code."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """Roles stay."""
        return False
