"""One place for the number."""

VERSION = "0.1.0"
