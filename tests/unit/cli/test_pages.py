"""The reference and the manual pages say what the tables say."""

import os
from pathlib import Path

from corten.cli import index, pages

DOCUMENT = Path(__file__).parents[3] / "docs/commands.md"


def test_the_reference_is_written_from_the_tables() -> None:
    if os.environ.get("CORTEN_ACCEPT"):
        DOCUMENT.write_text(pages.markdown())
    assert DOCUMENT.read_text() == pages.markdown(), "run ./dev accept"


def test_each_command_has_a_manual_page_with_its_flags() -> None:
    for command in index.commands():
        page = pages.man_page(command)
        assert page.startswith('.TH "CORTEN-')
        for flag in command.flags:
            spelled = "\\-\\-" + flag.name.replace("-", "\\-")
            assert flag.hidden or spelled in page, (command.paths, flag.name)


def test_no_line_of_text_is_taken_for_a_request() -> None:
    for command in index.commands():
        requests = [line for line in pages.man_page(command).splitlines() if line[:1] in (".", "'")]
        assert {line.split()[0] for line in requests} <= {".TH", ".SH", ".B", ".br", ".TP"}
