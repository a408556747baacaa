"""Where a record goes wrong that the csv module refuses: its lines in, a refusal with the line out.

csv says only that something is wrong, and at which line it noticed; an open quote swallows lines
until then. This reads the one record again, slowly. Must not know: Django, fields.
"""

from imports.lines import Lines
from imports.unreadable import UnreadableFile


def fault_in(lines: Lines, record: int, delimiter: str, cell_limit: int) -> UnreadableFile:
    """Return what is wrong with the record that begins in line `record`, in RULES.md's order of precedence.

    A quote that is never closed comes before the long cell that it makes.
    """
    quoted, opened, size = False, record, 0
    for number, text in enumerate(lines, 1):
        lines.record = number
        if number < record:
            continue
        at = 0
        while at < len(text):
            if not quoted and text.startswith('"', at):
                quoted, opened, size, at = True, number, 0, at + 1
            elif not quoted:
                end = text.find(delimiter, at)
                end = len(text.rstrip("\r\n")) if end < 0 else end
                if end - at > cell_limit:
                    return cell_too_long(number, cell_limit)
                at = end + 1
            else:
                end = text.find('"', at)
                if end < 0:
                    size += len(text) - at
                    break
                size += end - at
                at = end + 1
                if text.startswith('"', at):
                    size, at = size + 1, at + 1
                elif at < len(text) and text[at] not in (delimiter, "\r", "\n"):
                    return unclosed_quote(opened) if number > opened else text_after_quote(number)
                elif size > cell_limit:
                    return cell_too_long(opened, cell_limit)
                else:
                    quoted, at = False, at + 1
        if not quoted:
            break
    if lines.cut and size > cell_limit:
        return cell_too_long(opened, cell_limit)
    if quoted and not lines.cut:
        return unclosed_quote(opened)
    return UnreadableFile(
        "row_too_long",
        f"The row that begins in line {record:,} is too long to be a row of segments. Check the file in a text editor.",
        record,
    )


def unclosed_quote(line: int) -> UnreadableFile:
    """The refusal of a file in which a quoted cell has no end."""
    return UnreadableFile(
        "unclosed_quote",
        f'A quote (") opens in line {line:,} and is never closed. Close it, or take it out, and upload the file again.',
        line,
    )


def text_after_quote(line: int) -> UnreadableFile:
    """The refusal of a file in which a quoted cell goes on behind its end."""
    return UnreadableFile(
        "text_after_quote",
        f'In line {line:,} there is text behind a closing quote ("). Inside a quoted cell write each quote twice (""), '
        "then upload the file again.",
        line,
    )


def cell_too_long(line: int, limit: int) -> UnreadableFile:
    """The refusal of a file with a cell beyond the limit."""
    return UnreadableFile(
        "cell_too_long",
        f"A cell in line {line:,} has more than {limit:,} characters. Shorten it and upload the file again.",
        line,
    )
