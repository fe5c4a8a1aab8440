"""How the admin writes instants: UTC, to the second."""

DATETIME_FORMAT = r"j M Y H:i:s \U\T\C"
