"""Goldens of the builder: a directory for each case, with a context and what the image must be.

    CASE/Dockerfile, …        the context
    CASE/query.json           parameters of POST /build beside the defaults (`target`, `buildargs`, …)
    CASE/expected.txt         files that differ from the base, config, history; `./dev accept` rewrites it

A case whose Dockerfile begins with ``# classic`` uses only what dockerd's classic builder knows: its files and config
can be compared with dockerd's (`CORTEN_TEST_HOST=unix:///… pytest tests/root/build`).
"""
