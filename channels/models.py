"""Marketing channels: rows, not an enum, so that an admin adds one without a release."""

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.urls import reverse

ICONS = ("mail", "message-2", "brand-meta", "device-mobile", "bell", "world")  # of the sprite


class Channel(models.Model):
    """A marketing channel (Email, SMS, Meta, ...). Its slug is in every link and does not change."""

    name = models.CharField(max_length=50, unique=True)
    slug = models.SlugField(
        max_length=50, unique=True, validators=[RegexValidator(r"^[a-z0-9-]+$", "Use a-z, 0-9 and hyphens.")]
    )
    icon = models.CharField(max_length=30, default="mail", choices=[(i, i) for i in ICONS])
    segment_count = models.PositiveIntegerField(
        default=0, editable=False, help_text="Kept by segments.changes, in the transaction of each change."
    )
    position = models.PositiveSmallIntegerField(default=100, help_text="Channels are listed in this order.")

    class Meta:
        ordering = ("position", "id")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The Segments tab of this channel."""
        return reverse("segments:list", args=[self.slug])

    def clean(self) -> None:
        """Refuse to change the slug: links and commands name the channel by it."""
        if self.pk and Channel.objects.filter(pk=self.pk).exclude(slug=self.slug).exists():
            raise ValidationError(
                {"slug": ValidationError("The slug of a channel cannot be changed.", code="slug_fixed")}
            )
