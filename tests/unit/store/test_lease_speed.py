"""Addresses by the thousand."""

from __future__ import annotations

import time

from reconciler.testing import store as stores


def test_an_address_among_thousands_costs_what_it_costs_among_ten() -> None:
    store = stores.memory_store()
    try:
        with store.transaction() as session:
            for number in range(4000):
                session.leases.address("net", f"owner{number}", "10.208.0.0/16", "10.208.0.1")
            begun = time.process_time()
            for number in range(4000, 4100):
                session.leases.address("net", f"owner{number}", "10.208.0.0/16", "10.208.0.1")
            assert (time.process_time() - begun) / 100 < 0.005
            assert session.leases.address("net", "last", "10.208.0.0/16", "10.208.0.1") == "10.208.16.6"
    finally:
        store.close()
