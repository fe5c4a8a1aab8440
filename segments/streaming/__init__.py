"""Log rows become frames on open streams: one feed a project and process, encoded once, written directly."""
