"""What ingestion tells whoever lies above it; it does not know who listens."""

from django.dispatch import Signal

# Sent (robustly) after a commit put new batches into the inbox, on the event loop that serves: a receiver must not
# wait for anything. No arguments.
accepted = Signal()
