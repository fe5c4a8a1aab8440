"""Deliveries are counted by kind and outcome; nothing of a project or an address is in a label."""

import json
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from prometheus_client import REGISTRY
from pytest_django import Settings

from delivery.sending import turn
from keys.models import Project
from tests.delivery.conftest import deliver, visit, waiting_at, webhook
from tests.delivery.receiver import Receiver, answer
from tests.documented import ROOT

pytestmark = pytest.mark.django_db(transaction=True)


def counted(outcome: str) -> float:
    labels = {"kind": "webhook", "outcome": outcome}
    return REGISTRY.get_sample_value("persona_deliveries_total", labels) or 0.0


def test_tries_are_counted_by_what_became_of_them(shop: Project, inbox: Receiver, alice: User) -> None:
    hook = webhook(shop, inbox.url, alice)
    before = counted("delivered"), counted("retried")
    inbox.reply = answer(500)
    visit(shop, "ann", "bob")
    turn.deliver_some()
    assert counted("retried") - before[1] == len(waiting_at(hook)) == 2
    inbox.reply = answer(200)
    deliver(hook)
    assert counted("delivered") - before[0] == 2


def test_the_operator_sees_who_is_behind_and_nobody_sees_where_to(
    shop: Project, inbox: Receiver, alice: User, client: Client, settings: Settings
) -> None:
    settings.PERSONA_METRICS_TOKEN = "operator"
    webhook(shop, f"{inbox.url}/secret-path", alice)
    inbox.reply = answer(500)
    visit(shop, "ann")
    turn.deliver_some()
    text = client.get("/metrics", headers={"authorization": "Bearer operator"}).content.decode()
    assert 'persona_destinations_active{kind="webhook"} 1.0' in text
    assert 'persona_delivery_lag{kind="webhook"} 0.0' in text
    assert 'persona_delivery_oldest_seconds{kind="webhook"}' in text
    assert 'persona_changes_total{op="enter"}' in text
    assert "persona_evaluate_seconds_count" in text
    for secret in (inbox.url, "127.0.0.1", "secret-path", "whsec_", 'hook"'):
        assert secret not in text.replace('kind="webhook"', "")


def test_the_dashboard_shows_metrics_that_are_documented() -> None:
    dashboard = json.loads((ROOT / "docs" / "operations" / "grafana.json").read_text())
    shown = {
        name.removesuffix("_bucket")
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"persona_[a-z_]+", target["expr"])
    }
    documented = set(re.findall(r"`(persona_[a-z_]+)`", (ROOT / "docs" / "operations" / "running.md").read_text()))
    assert len(shown) > 15
    assert shown - documented == set()
