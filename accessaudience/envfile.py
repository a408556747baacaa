"""The file .env, read strictly: what cannot be read, or cannot be meant, is said and nothing starts.

Goes in: the path. Comes out: the settings in it, in the environment where that had none; or EnvFileError with a
sentence that names file and line, and repeats nothing of it, as a secret may stand there. Must not know: Django, and
what a setting is for. django-environ itself passes over a file and over lines that it cannot read.
"""

import io
import re
from pathlib import Path

import environ

LINE = re.compile(r"(?:export )?[A-Za-z_0-9]+=[^\0]*")  # as django-environ has it


class EnvFileError(Exception):
    """The file cannot be used; the message says which line, and what to do."""


def read(path: Path) -> None:
    """Put what `path` sets into the environment; a file that is not there sets nothing."""
    text = _text_of(path)
    lines = ["" if _says_nothing(line) else line for line in text.splitlines()]
    for number, line in enumerate(lines, 1):
        if line and not LINE.fullmatch(line):
            raise EnvFileError(
                f"{path}, line {number}: it must be like NAME=value, without spaces around the name, or begin with #."
            )
    environ.Env.read_env(io.StringIO("\n".join(lines)))


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():  # a link to nothing was meant
            return ""
        raise EnvFileError(
            f"{path} cannot be read ({error.strerror}). It must be a file that the user of this process may read; "
            "or remove it, and set everything in the environment."
        ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise EnvFileError(f"{path}, line {line}: it is not in UTF-8. Save the file as UTF-8.") from None


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")
