"""Pages about what could not be stored. The API's routes are in ingestion.api_urls."""

from django.urls import path

from ingestion import pages

LETTERS = "projects/<slug:slug>/dead-letters/"

urlpatterns = [
    path(LETTERS, pages.letter_list, name="letters"),
    path(f"{LETTERS}download", pages.letter_download, name="letters-download"),
    path(f"{LETTERS}all/<str:code>/", pages.letters_of_code, name="letters-of-code"),
    path(f"{LETTERS}parked/", pages.parked_list, name="parked"),
    path(f"{LETTERS}parked/<int:row>/retry/", pages.parked_retry, name="parked-retry"),
    path(f"{LETTERS}<int:number>/", pages.letter, name="letter"),
]
