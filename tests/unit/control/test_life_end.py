"""The stop of the daemon keeps to its one deadline, whoever does not end."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from reconciler.control import life


def test_nobody_is_waited_for_beyond_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(life.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(life.notify, "notify", lambda text: None)
    parts: dict[str, Any] = {
        name: mock.Mock()
        for name in ("settings", "parts", "engine", "reconciler", "events", "housekeeping", "sources", "api")
    }

    def shutdown(deadline: float) -> bool:
        now[0] = deadline
        return False

    parts["engine"].shutdown.side_effect = shutdown
    life.Daemon(**parts).end()
    parts["events"].close.assert_called_once_with(0.0)
    # those who still work with it need it
    parts["parts"].store.close.assert_not_called()
