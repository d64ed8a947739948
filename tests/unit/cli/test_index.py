"""The tree of commands and the commands' own tables say the same."""

from corten.cli import index
from corten.cli.usage import page


def test_each_path_of_the_tree_leads_to_a_command_that_knows_it() -> None:
    for path in index.PATHS:
        assert path in index.load(path).paths, path


def test_each_command_is_reached_by_all_its_paths() -> None:
    for command in index.commands():
        for path in command.paths:
            assert index.load(path) is command, path


def test_no_command_declares_a_flag_or_a_short_name_twice() -> None:
    for command in index.commands():
        names = [flag.name for flag in command.flags]
        shorts = [flag.short for flag in command.flags if flag.short]
        assert len(set(names)) == len(names), command.paths
        assert len(set(shorts)) == len(shorts), command.paths


def test_an_older_spelling_names_a_flag_that_is_there() -> None:
    for command in index.commands():
        names = {flag.name for flag in command.flags}
        assert {flag.same_as for flag in command.flags if flag.same_as} <= names, command.paths


def test_everything_has_a_help_page() -> None:
    for topic in ["", *index.GROUPS, *index.PATHS]:
        shown = page(topic)
        assert shown is not None, topic
        assert shown.startswith("Usage:  corten"), topic


def test_a_group_that_is_no_command_is_told_from_one() -> None:
    assert index.find(["container", "ls", "-a"]) == ("container ls", ["-a"])
    assert index.find(["run", "x"]) == ("run", ["x"])
    assert index.find(["nosuch"]) == ("", ["nosuch"])
