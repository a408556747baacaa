#!/usr/bin/env python
"""Django's command line for Access Audience."""

import os
import sys


def main() -> None:
    """Run the management command named on the command line; a wrong setting ends it with a sentence."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "accessaudience.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
