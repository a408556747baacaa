"""How a worker is started: `{% load worker %}`. Goes in: the settings. Comes out: a command."""

from django import template

from jobs.presence import worker_command

register = template.Library()

register.simple_tag(worker_command)
