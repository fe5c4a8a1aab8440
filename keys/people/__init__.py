"""Who belongs to a project: members, invitations, and the pages of owners."""
