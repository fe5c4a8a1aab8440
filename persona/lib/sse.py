"""Server-sent events, as the HTML standard defines them and in the field order the pipeline promises."""


def frame(seq: int, event: str, data: str) -> bytes:
    """One frame: id, event, data. `data` must be a single line (JSON always is)."""
    return f"id: {seq}\nevent: {event}\ndata: {data}\n\n".encode()


def retry(milliseconds: int) -> bytes:
    """Asks the client to wait this long before it reconnects."""
    return f"retry: {milliseconds}\n\n".encode()


def comment(text: str) -> bytes:
    """For people who look at the wire; clients pass over it."""
    return f": {text}\n\n".encode()
