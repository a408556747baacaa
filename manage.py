#!/usr/bin/env python
"""Django's command line for Access Audience."""

import os
import sys


def main() -> None:
    """Run the management command named on the command line; a wrong setting ends it with a sentence."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "accessaudience.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError, InterfaceError

    from accessaudience.errors import FileStoreError

    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, FileStoreError) as error:
        sys.exit(str(error))
    except (DatabaseError, InterfaceError) as error:
        from accessaudience.databasefault import fault_of

        fault = fault_of(error)
        if fault is None:
            raise
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
