"""Pages about destinations and deliveries. The API's routes are in delivery.api.urls."""

from django.urls import path

from delivery.pages import deeds, destinations, log

DESTINATIONS = "projects/<slug:slug>/destinations/"
ONE = f"{DESTINATIONS}<slug:destination>/"
DELIVERY = "projects/<slug:slug>/deliveries/<int:number>/"

urlpatterns = [
    path(DESTINATIONS, destinations.destination_list, name="destinations"),
    path("projects/<slug:slug>/new-destination/", destinations.destination_new, name="destination-new"),
    path(ONE, destinations.destination_page, name="destination"),
    path(f"{ONE}edit/", destinations.destination_edit, name="destination-edit"),
    path(f"{ONE}rotate/", deeds.destination_rotate, name="destination-rotate"),
    path(f"{ONE}ping/", deeds.destination_ping, name="destination-ping"),
    path(f"{ONE}redeliver/", deeds.destination_redeliver, name="destination-redeliver"),
    path(f"{ONE}pause/", deeds.destination_deed, {"deed": "pause"}, name="destination-pause"),
    path(f"{ONE}resume/", deeds.destination_deed, {"deed": "resume"}, name="destination-resume"),
    path(f"{ONE}delete/", deeds.destination_deed, {"deed": "delete"}, name="destination-delete"),
    path(DELIVERY, log.delivery_page, name="delivery"),
    path(f"{DELIVERY}redeliver/", log.delivery_redeliver, name="delivery-redeliver"),
]
