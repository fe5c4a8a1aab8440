"""What ingestion tells whoever lies above it; it does not know who listens."""

from django.dispatch import Signal

# Sent (robustly) by the flusher thread after a commit put new batches into the inbox. No arguments.
accepted = Signal()
