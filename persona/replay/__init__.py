"""Replay a file of real events through the HTTP ingest of a running server. A client like any other: no Django here."""
