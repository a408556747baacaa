"""The one exception of reading an upload."""


class UnreadableFile(Exception):  # noqa: N818  # the state of the file, not a fault of ours
    """A file that cannot be read as a table. `code` is for programs (RULES.md), `message` says what to do.

    `line` is the physical line, counting from 1, where that is known.
    """

    def __init__(self, code: str, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line = line
