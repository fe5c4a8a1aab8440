"""The embedded PostgreSQL by itself."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from persona.running import embedded
from persona.running.embedded import CannotStart, Postgres


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """Of one cluster: to make one takes as long as all else here."""
    with tempfile.TemporaryDirectory(prefix="persona-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root: PostgreSQL's own user has to get in
        yield folder


@pytest.fixture
def server(base: Path) -> Iterator[Postgres]:
    one = Postgres(base, durable=False)
    yield one
    one.stop()


def test_however_long_it_recovers_it_is_waited_for(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash it replays gigabytes. Whoever ends it before it is through makes it begin again, for ever."""
    server.start().stop()
    (server.data / "recovery.signal").touch()
    (server.data / "postgresql.auto.conf").write_text("restore_command = 'sleep 0.4; false'\n")
    monkeypatch.setattr(embedded, "START_SECONDS", 0.3)
    server.start()
    with psycopg.connect(server.dsn()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_one_that_does_not_answer_is_not_left_behind(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "START_SECONDS", 0.3)
    monkeypatch.setattr(server, "dsn", lambda name="persona": f"postgresql:///{name}?host=/nowhere&port=1")
    with pytest.raises(CannotStart):
        server.start()
    assert server.process is not None
    assert server.process.poll() is not None
