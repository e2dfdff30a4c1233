"""A name as one segment of a URL's path: every client of ours that puts a name into a path escapes it here."""

from urllib.parse import quote


def segment(name: object) -> str:
    """Escaped so that no character of it ends the segment; `.` and `..` too, which a client would resolve away.

    `requests` decodes `%2E` again when it prepares a URL: a name made of dots is sent only as a raw URL.
    """
    escaped = quote(str(name), safe="")
    return escaped if escaped.strip(".") else escaped.replace(".", "%2E")
