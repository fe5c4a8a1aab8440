"""What evaluating measures, a turn at a time: per profile it would cost more than what it measures."""

from prometheus_client import Counter, Histogram

SECONDS = Histogram(
    "persona_evaluate_seconds",
    "How long a turn took that judged somebody, commit included.",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
JUDGED = Counter("persona_evaluated_total", "Profiles with something new, and timers, that were judged.")
CHANGES = Counter("persona_changes_total", "Rows of the change log that were committed.", ["op"])
