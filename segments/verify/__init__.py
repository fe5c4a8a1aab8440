"""Verify a living project: are memberships, timers and the change log what the stored events make them?"""
