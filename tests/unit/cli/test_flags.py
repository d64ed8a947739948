"""pflag's rules, case by case."""

import pytest

from corten.cli.flags import Flag, FlagError, HelpAsked, number, parse, quoted, switch, text, texts

FLAGS: tuple[Flag, ...] = (
    switch("interactive", "i", ""),
    switch("tty", "t", ""),
    switch("sig-proxy", "", "", default=True),
    texts("volume", "v", ""),
    texts("env", "e", ""),
    texts("network", "", ""),
    texts("net", "", "", same_as="network"),
    text("name", "", ""),
    number("cpu-shares", "c", ""),
)


def test_short_switches_group_and_the_last_may_take_a_value() -> None:
    options, words = parse(FLAGS, ["-itv", "a:b", "-ve:f", "-v=g:h", "image"])
    assert (options.on("interactive"), options.on("tty")) == (True, True)
    assert options.texts("volume") == ["a:b", "e:f", "g:h"]
    assert words == ["image"]


def test_the_first_positional_ends_the_flags_when_the_rest_is_a_command_line() -> None:
    options, words = parse(FLAGS, ["-t", "image", "ls", "-i", "--name", "x"], interspersed=False)
    assert words == ["image", "ls", "-i", "--name", "x"]
    assert not options.given("name")


def test_flags_may_stand_between_positionals_otherwise() -> None:
    options, words = parse(FLAGS, ["a", "--name", "x", "b"])
    assert (options.text("name"), words) == ("x", ["a", "b"])


def test_two_dashes_end_the_flags() -> None:
    _, words = parse(FLAGS, ["-t", "--", "-i", "x"])
    assert words == ["-i", "x"]


def test_a_lone_dash_is_a_positional() -> None:
    assert parse(FLAGS, ["-", "-t"])[1] == ["-"]


@pytest.mark.parametrize(("word", "value"), [("true", True), ("1", True), ("T", True), ("false", False), ("0", False)])
def test_a_switch_takes_its_value_only_behind_an_equals_sign(word: str, value: bool) -> None:
    options, words = parse(FLAGS, [f"--sig-proxy={word}", "true"])
    assert (options.on("sig-proxy"), words) == (value, ["true"])


def test_an_older_spelling_sets_the_newer_flag() -> None:
    assert parse(FLAGS, ["--net", "a", "--network=b"])[0].texts("network") == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nam", "x"], "unknown flag: --nam"),
        (["--foo=1"], "unknown flag: --foo"),
        (["-tz"], "unknown shorthand flag: 'z' in -z"),
        (["--name"], "flag needs an argument: --name"),
        (["-v"], "flag needs an argument: 'v' in -v"),
        (["--=x"], "bad flag syntax: --=x"),
        (["---x"], "bad flag syntax: ---x"),
        (
            ["--tty=maybe"],
            'invalid argument "maybe" for "-t, --tty" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (["-cx"], 'invalid argument "x" for "-c, --cpu-shares" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        (
            ["-c=9223372036854775808"],
            'invalid argument "9223372036854775808" for "-c, --cpu-shares" flag: strconv.ParseInt: '
            'parsing "9223372036854775808": value out of range',
        ),
    ],
)
def test_each_mistake_is_told_in_dockers_words(words: list[str], message: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse(FLAGS, words)
    assert str(caught.value) == message


@pytest.mark.parametrize(("word", "value"), [("0x10", 16), ("010", 8), ("-5", -5), ("1_000", 1000), ("0b11", 3)])
def test_numbers_are_spelled_as_in_go(word: str, value: int) -> None:
    assert parse(FLAGS, [f"--cpu-shares={word}"])[0].number("cpu-shares") == value


def test_help_is_asked_for_by_its_long_name_and_by_the_old_short_one() -> None:
    with pytest.raises(HelpAsked) as long:
        parse(FLAGS, ["--help"])
    with pytest.raises(HelpAsked) as short:
        parse(FLAGS, ["-h"])
    assert (long.value.short, short.value.short) == (False, True)


def test_text_is_quoted_as_go_quotes_it() -> None:
    assert quoted('a"b\\\n\x01é\udcff') == '"a\\"b\\\\\\n\\x01é\\xff"'
