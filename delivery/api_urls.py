"""Routes of destinations and deliveries under /api/projects/<project>/; each with and without the trailing slash."""

from django.urls import re_path

from delivery import api, api_log

urlpatterns = [
    re_path(r"^destinations/?$", api.Destinations.as_view()),
    re_path(r"^destinations/(?P<destination>[^/]+)/?$", api.DestinationDetail.as_view()),
    re_path(r"^destinations/(?P<destination>[^/]+)/rotate/?$", api.Rotate.as_view()),
    re_path(r"^destinations/(?P<destination>[^/]+)/pause/?$", api.Pause.as_view()),
    re_path(r"^destinations/(?P<destination>[^/]+)/resume/?$", api.Resume.as_view()),
    re_path(r"^destinations/(?P<destination>[^/]+)/ping/?$", api.Ping.as_view()),
    re_path(r"^destinations/(?P<destination>[^/]+)/redeliver/?$", api.RedeliverRange.as_view()),
    re_path(r"^deliveries/?$", api_log.Deliveries.as_view()),
    re_path(r"^deliveries/(?P<delivery>[^/]+)/?$", api_log.DeliveryDetail.as_view()),
    re_path(r"^deliveries/(?P<delivery>[^/]+)/redeliver/?$", api_log.Redeliver.as_view()),
]
