"""The pages of a project's keys."""

from django.urls import path

from keys import pages

urlpatterns = [
    path("projects/<slug:slug>/keys/", pages.key_list, name="keys"),
    path("projects/<slug:slug>/keys/new/", pages.key_new, name="key-new"),
    path("projects/<slug:slug>/keys/<slug:lookup>/", pages.key_change, name="key-change"),
    path("projects/<slug:slug>/keys/<slug:lookup>/rotate/", pages.key_rotate, name="key-rotate"),
    path("projects/<slug:slug>/keys/<slug:lookup>/revoke/", pages.key_revoke, name="key-revoke"),
]
