"""From a row of the admin to the page of the product that is about it."""

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString


def page_of(words: str, route: str, *arguments: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse(route, args=arguments), words)
