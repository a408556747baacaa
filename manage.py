#!/usr/bin/env python
"""Django's command line for Access Audience."""

import os
import sys


def main() -> None:
    """Run the management command named on the command line; a wrong setting ends it with a sentence."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "accessaudience.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError

    from accessaudience.errors import FileStoreError

    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, FileStoreError) as error:
        sys.exit(str(error))
    except (OperationalError, ProgrammingError) as error:
        if "no such" not in str(error) and "does not exist" not in str(error):
            raise
        sys.exit(
            "The database is not prepared for this version. `make run` or `python -m accessaudience.prepare` does "
            f"that; or DATABASE_URL or DATA_DIR names another one than you meant. ({' '.join(str(error).split())})"
        )


if __name__ == "__main__":
    main()
