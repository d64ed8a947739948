"""Edges: each converts wire types to model types and calls one use-case.

A request's way through Docker's REST API::

    http.Connection ─Exchange→ Dispatcher ─Route found→ Call(query, body, names) ─lane→ handler(call) ─Answer→ http
                                   └ version, limits, JSON checks          └ engine.containers.start(…)

Every endpoint is a value, a `Route`, in the table of its family (`api.docker.containers.ROUTES` …). The route names
the struct of its query parameters and the type of its JSON body, so that reading, checking, documentation and the
rows of ``tests/claims.toml`` come from one declaration. Handlers are plain blocking functions; the route's *lane*
is the bounded pool of threads they run in, so that unpacking images never makes `ps` wait.
"""

__all__: list[str] = []
