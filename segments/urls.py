"""Pages about one project. The API's routes are in segments.api_urls."""

from django.urls import path

from segments import (
    downloads,
    pages_deeds,
    pages_editor,
    pages_home,
    pages_live,
    pages_persona,
    pages_personas,
    pages_profiles,
)

PROJECT = "projects/<slug:slug>/"
PERSONA = f"{PROJECT}personas/<slug:persona>/"
PROFILE = f"{PROJECT}profiles/<slug:profile>/"

urlpatterns = [
    path(PROJECT, pages_home.project_home, name="project"),
    path(f"{PROJECT}parts/", pages_home.home_parts, name="project-parts"),
    path(f"{PROJECT}live/", pages_live.live_page, name="live"),
    path(f"{PROJECT}live/rows", pages_live.live_rows, name="live-rows"),
    path(f"{PROJECT}personas/", pages_personas.persona_list, name="personas"),
    path(f"{PROJECT}new-persona/", pages_editor.persona_new, name="persona-new"),
    path(PERSONA, pages_persona.persona_page, name="persona"),
    path(f"{PERSONA}edit/", pages_editor.persona_edit, name="persona-edit"),
    path(f"{PERSONA}members/", pages_persona.member_list, name="persona-members"),
    path(f"{PERSONA}members.csv", downloads.member_download, name="persona-csv"),
    path(f"{PERSONA}versions/", pages_persona.version_list, name="persona-versions"),
    path(f"{PERSONA}versions/<int:version>/restore/", pages_deeds.restore, name="persona-restore"),
    path(f"{PERSONA}overlap/", pages_persona.overlap_page, name="persona-overlap"),
    path(f"{PERSONA}pause/", pages_deeds.persona_deed, {"deed": "pause"}, name="persona-pause"),
    path(f"{PERSONA}resume/", pages_deeds.persona_deed, {"deed": "resume"}, name="persona-resume"),
    path(f"{PERSONA}delete/", pages_deeds.persona_deed, {"deed": "delete"}, name="persona-delete"),
    path(f"{PROJECT}profiles/", pages_profiles.profile_list, name="profiles"),
    path(PROFILE, pages_profiles.profile_page, name="profile"),
    path(f"{PROFILE}explain/<slug:persona>/", pages_profiles.profile_explain, name="profile-explain"),
]
