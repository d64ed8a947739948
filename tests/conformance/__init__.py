"""Other people's suites and clients, run against us and, to prove the suite, against the reference.

    python -m tests.conformance docker-py [--against corten|docker]
    python -m tests.conformance distribution [--against corten|docker-registry]
    python -m tests.conformance runtime-tools|crun [--against corten|runc|crun]

Each suite is fetched by package name with the ordinary client into the user's cache, never into this repository. A
suite prints its score and every point by name; what the reference passes and we do not is the list that matters.
"""
