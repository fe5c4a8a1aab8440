"""The pages of a project's keys, people, settings and audit log."""

from django.urls import path

from keys.pages import keys
from keys.people import pages as people
from keys.people import project_pages

urlpatterns = [
    path("projects/<slug:slug>/keys/", keys.key_list, name="keys"),
    path("projects/<slug:slug>/keys/new/", keys.key_new, name="key-new"),
    path("projects/<slug:slug>/keys/<slug:lookup>/", keys.key_change, name="key-change"),
    path("projects/<slug:slug>/keys/<slug:lookup>/rotate/", keys.key_rotate, name="key-rotate"),
    path("projects/<slug:slug>/keys/<slug:lookup>/revoke/", keys.key_revoke, name="key-revoke"),
    path("new-project/", project_pages.new, name="project-new"),
    path("projects/<slug:slug>/settings/", project_pages.settings, name="project-settings"),
    path("projects/<slug:slug>/audit/", project_pages.audit, name="audit"),
    path("projects/<slug:slug>/people/", people.member_list, name="people"),
    path("projects/<slug:slug>/people/invite/", people.invite, name="person-invite"),
    path("projects/<slug:slug>/people/invitations/<int:pk>/withdraw/", people.withdraw, name="invitation-withdraw"),
    path("projects/<slug:slug>/people/<int:pk>/", people.role, name="person-role"),
    path("projects/<slug:slug>/people/<int:pk>/remove/", people.remove, name="person-remove"),
    path("invitation/", people.accept, name="invitation"),
    path("invitation/<str:token>/", people.open_link, name="invitation-link"),
]
