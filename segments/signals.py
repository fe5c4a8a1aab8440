"""What segments tells whoever lies above it; it does not know who listens."""

from django.dispatch import Signal

# Sent (robustly) after a commit that wrote rows of the change log. project_id: whose.
logged = Signal()
