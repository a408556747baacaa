"""How many examples hypothesis tries: 100 at a desk, 500 in CI (HYPOTHESIS_PROFILE or CI in the environment)."""

import os

from hypothesis import settings

settings.register_profile("desk", max_examples=100, deadline=None)
settings.register_profile("ci", max_examples=500, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "desk"))
