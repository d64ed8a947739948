"""Docker's command line, and Corten's own commands beside it.

A command is a row of data (`table.Command`): its paths, its flags, how many words it takes, the function that does
it. Everything that must agree with the command line is generated from these rows: parsing (`flags`, by pflag's
rules), help pages (`usage`), shell completion (`system.completion`), the reference and manual pages (`pages`), and
the rows of tests/claims.toml.

    corten stop -t 5 web
      command.main          streams, global flags
      index.find            "stop" is declared in container.lifecycle as STOP: the one module that is imported
      flags.parse           -t 5 becomes options.number("timeout")
      lifecycle._stop       asks the engine through session.engine, prints what came back

A start must cost no more than docker's own, so the way of a plain command imports nothing that it does not need:
neither `os` nor `typing`, `re`, `json` or `socket` (tests/unit/cli/test_start.py pins it). Modules below the families
`container`, `image`, `network`, `volume` and `system` hold a few commands each; what several share lies beside this
file: `listing` (tables and --format), `template` (Go's text/template), `human` (sizes and times), `attachment` and
`container.foreground` (a container's streams on our terminal), `progress`, `inspection`, `story` (run --explain),
`doctor`.

Messages, output and exit statuses are docker's, word for word; tests/conformance/test_command_line.py compares them.
What our engine knows better it says in a line of its own that begins with `hint:`.
"""

__all__: list[str] = []
