"""Rows to test with: people, channels, segments and the change sets that made them.

A segment comes with its keys, its change set and its channel's count, as segments.changes would have left them.
"""

from typing import Any

import factory
from django.contrib.auth.models import Group
from django.db.models import F
from factory.django import DjangoModelFactory

from accessaudience.roles import MARKETER
from channels.models import Channel
from people.models import Person
from segments import values
from segments.models import ChangeSet, ChangeSetChannel, SearchBacklog, Segment, Source


class PersonFactory(DjangoModelFactory):
    """Somebody with one role: `PersonFactory(role=VIEWER)`."""

    class Meta:
        model = Person
        skip_postgeneration_save = True

    email = factory.Sequence("person{}@example.com".format)
    first_name = "Maya"
    last_name = factory.Sequence("Lindqvist {}".format)

    @factory.post_generation
    def role(self, create: bool, extracted: str | None, **kwargs: Any) -> None:
        """Put the person into the group of the role (a Marketer unless said otherwise)."""
        self.groups.add(Group.objects.get_or_create(name=extracted or MARKETER)[0])


class ChannelFactory(DjangoModelFactory):
    """A further channel; Email, SMS and Meta are there from the first migration."""

    class Meta:
        model = Channel

    name = factory.Sequence("Channel {}".format)
    slug = factory.Sequence("channel-{}".format)


class ChangeSetFactory(DjangoModelFactory):
    """A change set, of nobody unless told whose."""

    class Meta:
        model = ChangeSet

    kind = ChangeSet.Kind.ADD
    user_name = factory.LazyAttribute(lambda made: str(made.user) if made.user else "")
    user = None


class SegmentFactory(DjangoModelFactory):
    """A segment in Email, added by hand. `is_label=True`: its segment ID is only a label."""

    class Meta:
        model = Segment

    class Params:
        is_label = False
        from_csv = factory.Trait(
            source=Source.CSV,
            created_line=2,
            created_in=factory.SubFactory(ChangeSetFactory, kind=ChangeSet.Kind.IMPORT, label="segments.csv"),
        )

    channel = factory.LazyFunction(lambda: Channel.objects.get(slug="email"))
    name = factory.Sequence("Segment {:04}".format)
    created_in = factory.SubFactory(ChangeSetFactory, label=factory.SelfAttribute("..name"))

    identity_key = factory.LazyAttribute(
        lambda made: values.identity_key(made.name, getattr(made, "segment_id", ""), label=made.is_label)
    )
    name_key = factory.LazyAttribute(lambda made: values.folded_key(made.name))
    id_key = factory.LazyAttribute(lambda made: values.folded_key(made.segment_id))
    segment_id = ""
    last_change = factory.LazyAttribute(lambda made: made.created_in)
    updated_at = factory.LazyAttribute(lambda made: made.created_in.at)

    @classmethod
    def _create(cls, model_class: type[Segment], *args: Any, **kwargs: Any) -> Segment:
        segment: Segment = super()._create(model_class, *args, **kwargs)
        made_in = segment.created_in
        made_in.first_pk = made_in.first_pk or segment.pk
        made_in.last_pk = segment.pk
        made_in.save()
        counts, _ = ChangeSetChannel.objects.get_or_create(change_set=made_in, channel=segment.channel)
        ChangeSetChannel.objects.filter(pk=counts.pk).update(created=F("created") + 1)
        Channel.objects.filter(pk=segment.channel_id).update(segment_count=F("segment_count") + 1)
        SearchBacklog.note(segment.channel, made_in)
        return segment
