"""What segments tells whoever lies above it; it does not know who listens."""

from django.dispatch import Signal

# Sent (robustly) after a commit that wrote rows of the change log. project_id: whose.
logged = Signal()

# Asked for a preview. project_id; persona: its slug, or "" before it has one; ops: what would be logged. Receivers
# answer with the names of those whom they would tell.
would_tell = Signal()
