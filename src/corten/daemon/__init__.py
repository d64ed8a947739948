"""Composition root: config, lifecycle, signals, restore. No business logic lives here.

Life of an engine::

    command.main ─ roots, lock ─ listen ─ compose ─ restore ─ READY ─ serve ─┬─ SIGTERM ─┐
                     │ held by another: leave quietly                        ├─ idle ────┤ close, containers stay alive
                                                                             └─ SIGHUP: reload the config

- `lock`: one engine per root, by an flock that dies with its holder;
- `listening`: the unix socket below the root (any length of path), systemd's sockets, TCP on loopback;
- `notify`: ``sd_notify`` and ``LISTEN_FDS``, ten lines each;
- `config`: ``engine.json``, with the names of Docker's ``daemon.json``;
- `compose`: which parts make up an engine;
- `process`: the running of it; `reset`: the removal of everything.
"""

__all__: list[str] = []
