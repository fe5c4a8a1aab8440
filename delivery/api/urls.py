"""Routes of destinations and deliveries under /api/projects/<project>/; each with and without the trailing slash."""

from django.urls import re_path

from delivery.api import destinations, log

urlpatterns = [
    re_path(r"^destinations/?$", destinations.Destinations.as_view()),
    re_path(r"^destinations/(?P<destination>[^/]+)/?$", destinations.DestinationDetail.as_view()),
    re_path(r"^destinations/(?P<destination>[^/]+)/rotate/?$", destinations.Rotate.as_view()),
    re_path(r"^destinations/(?P<destination>[^/]+)/pause/?$", destinations.Pause.as_view()),
    re_path(r"^destinations/(?P<destination>[^/]+)/resume/?$", destinations.Resume.as_view()),
    re_path(r"^destinations/(?P<destination>[^/]+)/ping/?$", destinations.Ping.as_view()),
    re_path(r"^destinations/(?P<destination>[^/]+)/redeliver/?$", destinations.RedeliverRange.as_view()),
    re_path(r"^deliveries/?$", log.Deliveries.as_view()),
    re_path(r"^deliveries/(?P<delivery>[^/]+)/?$", log.DeliveryDetail.as_view()),
    re_path(r"^deliveries/(?P<delivery>[^/]+)/redeliver/?$", log.Redeliver.as_view()),
]
