"""The network driver: ``base`` is its manual, ``driver.open_driver`` opens the real one.

It takes plain arguments and knows kernel things only. What a container is, why its endpoint should be, and when to
look again are decided elsewhere.

From the outside in: ``driver`` → ``bridges``, ``endpoints``, ``endpoint_drift`` → ``veths``, ``inside``, ``firewall``
→ ``namespaces``, ``ruleset``, ``links``, ``sockets``, ``conntrack``, ``host`` → ``netlink``, ``codec``, ``pyroute``,
``nft``, ``system``.
"""
