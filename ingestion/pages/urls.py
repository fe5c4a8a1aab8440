"""Pages about what could not be stored. The API's routes are in ingestion.api.urls."""

from django.urls import path

from ingestion.pages import letters

LETTERS = "projects/<slug:slug>/dead-letters/"

urlpatterns = [
    path(LETTERS, letters.letter_list, name="letters"),
    path(f"{LETTERS}download", letters.letter_download, name="letters-download"),
    path(f"{LETTERS}all/<str:code>/", letters.letters_of_code, name="letters-of-code"),
    path(f"{LETTERS}parked/", letters.parked_list, name="parked"),
    path(f"{LETTERS}parked/<int:row>/retry/", letters.parked_retry, name="parked-retry"),
    path(f"{LETTERS}<int:number>/", letters.letter, name="letter"),
]
