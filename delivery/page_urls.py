"""Pages about destinations and deliveries. The API's routes are in delivery.api_urls."""

from django.urls import path

from delivery import pages, pages_deeds, pages_log

DESTINATIONS = "projects/<slug:slug>/destinations/"
ONE = f"{DESTINATIONS}<slug:destination>/"
DELIVERY = "projects/<slug:slug>/deliveries/<int:number>/"

urlpatterns = [
    path(DESTINATIONS, pages.destination_list, name="destinations"),
    path("projects/<slug:slug>/new-destination/", pages.destination_new, name="destination-new"),
    path(ONE, pages.destination_page, name="destination"),
    path(f"{ONE}edit/", pages.destination_edit, name="destination-edit"),
    path(f"{ONE}rotate/", pages_deeds.destination_rotate, name="destination-rotate"),
    path(f"{ONE}ping/", pages_deeds.destination_ping, name="destination-ping"),
    path(f"{ONE}redeliver/", pages_deeds.destination_redeliver, name="destination-redeliver"),
    path(f"{ONE}pause/", pages_deeds.destination_deed, {"deed": "pause"}, name="destination-pause"),
    path(f"{ONE}resume/", pages_deeds.destination_deed, {"deed": "resume"}, name="destination-resume"),
    path(f"{ONE}delete/", pages_deeds.destination_deed, {"deed": "delete"}, name="destination-delete"),
    path(DELIVERY, pages_log.delivery_page, name="delivery"),
    path(f"{DELIVERY}redeliver/", pages_log.delivery_redeliver, name="delivery-redeliver"),
]
