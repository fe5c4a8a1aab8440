"""Definitions of audiences that other products wrote, read into rules. Pure: documents in, documents out."""
