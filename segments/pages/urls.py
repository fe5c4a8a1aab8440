"""Pages about one project. The API's routes are in segments.api.urls."""

from django.urls import path

from segments.pages import deeds, downloads, editor, home, live, persona, personas, profiles

PROJECT = "projects/<slug:slug>/"
PERSONA = f"{PROJECT}personas/<slug:persona>/"
PROFILE = f"{PROJECT}profiles/<slug:profile>/"

urlpatterns = [
    path(PROJECT, home.project_home, name="project"),
    path(f"{PROJECT}parts/", home.home_parts, name="project-parts"),
    path(f"{PROJECT}live/", live.live_page, name="live"),
    path(f"{PROJECT}live/rows", live.live_rows, name="live-rows"),
    path(f"{PROJECT}personas/", personas.persona_list, name="personas"),
    path(f"{PROJECT}new-persona/", editor.persona_new, name="persona-new"),
    path(PERSONA, persona.persona_page, name="persona"),
    path(f"{PERSONA}edit/", editor.persona_edit, name="persona-edit"),
    path(f"{PERSONA}members/", persona.member_list, name="persona-members"),
    path(f"{PERSONA}members.csv", downloads.member_download, name="persona-csv"),
    path(f"{PERSONA}versions/", persona.version_list, name="persona-versions"),
    path(f"{PERSONA}versions/<int:version>/restore/", deeds.restore, name="persona-restore"),
    path(f"{PERSONA}overlap/", persona.overlap_page, name="persona-overlap"),
    path(f"{PERSONA}pause/", deeds.persona_deed, {"deed": "pause"}, name="persona-pause"),
    path(f"{PERSONA}resume/", deeds.persona_deed, {"deed": "resume"}, name="persona-resume"),
    path(f"{PERSONA}delete/", deeds.persona_deed, {"deed": "delete"}, name="persona-delete"),
    path(f"{PROJECT}profiles/", profiles.profile_list, name="profiles"),
    path(PROFILE, profiles.profile_page, name="profile"),
    path(f"{PROFILE}explain/<slug:persona>/", profiles.profile_explain, name="profile-explain"),
]
