"""Look for secrets in the files of the project, by the detectors of detect-secrets.

    python bin/leaks.py [FILE …]

Goes in: the files that git has, or those named. Comes out: a line for each thing that looks like a key, and then
status 1. A line that has to look like one says `pragma: allowlist secret`. Passwords in code are ruff's (S105, S106).
"""

import subprocess
import sys

from detect_secrets import SecretsCollection
from detect_secrets.settings import transient_settings

STRUCTURED = [
    "ArtifactoryDetector",
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "CloudantDetector",
    "DiscordBotTokenDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "IbmCloudIamDetector",
    "IbmCosHmacDetector",
    "JwtTokenDetector",
    "MailchimpDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "SoftlayerDetector",
    "SquareOAuthDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
    "TwilioKeyDetector",
]
GUESSED = [
    {"name": "BasicAuthDetector"},
    {"name": "Base64HighEntropyString", "limit": 4.5},
    {"name": "HexHighEntropyString", "limit": 3.0},
]
FILTERS: list[dict[str, object]] = [
    {"path": f"detect_secrets.filters.{name}"}
    for name in ("allowlist.is_line_allowlisted", "heuristic.is_sequential_string", "heuristic.is_templated_secret")
]
EXAMPLES = {"path": "detect_secrets.filters.regex.should_exclude_secret", "pattern": ["^(password|secret)$"]}
FILTERS.append(EXAMPLES)
NOT_OURS = ("static/vendor/", "static/img/")
MADE_UP = ("tests/", "bench/")  # of keys that open nothing: what is guessed from how random it looks is not looked for


def found_in(files: list[str]) -> list[str]:
    """Each thing that looks like a secret, as `file:line: what`."""
    ours = [file for file in files if not file.startswith(NOT_OURS) and not file.endswith(".lock")]
    plugins = [{"name": name} for name in STRUCTURED]
    made_up = [file for file in ours if file.startswith(MADE_UP)]
    return [
        *_scan([file for file in ours if file not in made_up], [*plugins, *GUESSED]),
        *_scan(made_up, plugins),
    ]


def _scan(files: list[str], plugins: list[dict[str, object]]) -> list[str]:
    secrets = SecretsCollection()
    with transient_settings({"plugins_used": plugins, "filters_used": FILTERS}):
        for file in files:
            secrets.scan_file(file)
    return [f"{file}:{secret.line_number}: {secret.type}" for file, secret in secrets]


def main() -> int:
    """Print what is found."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=False).stdout
    files = sys.argv[1:] or [file for file in listed.split("\0") if file]
    if not files:
        print("There is no list of files: this is no checkout of git.")
    found = found_in(files)
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
