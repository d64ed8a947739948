"""The Dockerfile language: what is read, and what each mistake is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.build.dockerfile import DockerfileError, Ignore, parse
from corten.build.dockerfile import instruction as nouns
from corten.build.dockerfile.error import excerpt
from corten.build.dockerfile.words import expand, expand_words, split_words, unset_names
from corten.model.errors import InvalidArgument


def body(text: str) -> tuple[nouns.Instruction, ...]:
    return parse("FROM scratch\n" + text).stages[0].body


def test_stages_are_found_by_name_and_number() -> None:
    file = parse("ARG V=1\nFROM --platform=linux/arm64 base:$V AS Build\nRUN a\nFROM scratch\nCOPY --from=build /a /\n")
    assert [stage.name for stage in file.stages] == ["build", "1"]
    assert file.stage("BUILD") is file.stage("0") is file.stages[0]
    assert file.stage("1") is file.stages[1]
    assert file.stage("2") is None
    assert file.stages[0].begin.platform == "linux/arm64"
    assert file.arguments[0].pairs == (("V", "1"),)


def test_continuations_skip_comments_and_blank_lines() -> None:
    (run,) = body("RUN one \\\n  # comment\n\n  two \\\n  three\n")
    assert isinstance(run, nouns.Run)
    assert run.command.words == ("one   two   three",)
    assert (run.at.first, run.at.last) == (2, 6)


def test_directives_stand_at_the_top_only() -> None:
    file = parse("# escape=`\n# syntax = docker/dockerfile:1\nFROM scratch\nRUN a `\n  b\n")
    assert file.escape == "`"
    assert file.directives["syntax"] == "docker/dockerfile:1"
    assert parse("# comment\n# escape=`\nFROM scratch\n").escape == "\\"


def test_exec_and_shell_forms() -> None:
    run, cmd, entry = body('RUN echo [x]\nCMD ["a", "b c"]\nENTRYPOINT ["broken"\n')
    assert isinstance(run, nouns.Run)
    assert run.command == nouns.Command(("echo [x]",), shell=True)
    assert isinstance(cmd, nouns.Cmd)
    assert cmd.command == nouns.Command(("a", "b c"), shell=False)
    assert isinstance(entry, nouns.Entrypoint)
    assert entry.command.shell


def test_heredocs_keep_their_bodies() -> None:
    run, copy = body("RUN <<EOF\necho $a\nEOF\nCOPY <<-'A' <<B /dir/\n\tone\n\tA\ntwo\nB\n")
    assert isinstance(run, nouns.Run)
    assert run.heredocs[0].body == "echo $a\n"
    assert run.heredocs[0].expand
    assert isinstance(copy, nouns.Copy)
    assert [(one.name, one.body, one.expand) for one in copy.heredocs] == [("A", "one\n", False), ("B", "two\n", True)]
    assert copy.sources == ()
    assert copy.target == "/dir/"


def test_a_here_document_sign_inside_quotes_is_text() -> None:
    (run,) = body('RUN echo "<<EOF"\n')
    assert isinstance(run, nouns.Run)
    assert run.heredocs == ()


def test_flags_of_copy_and_add() -> None:
    flags = "--from=0 --chown=1:2 --chmod=u+x --link --exclude=*.o --exclude=b"
    copy, add = body(f"COPY {flags} a b /c/\nADD --unpack=false x /\n")
    assert isinstance(copy, nouns.Copy)
    assert (copy.from_, copy.chown, copy.chmod, copy.link, copy.exclude) == ("0", "1:2", "u+x", True, ("*.o", "b"))
    assert copy.sources == ("a", "b")
    assert isinstance(add, nouns.Add)
    assert add.unpack is False


def test_mounts_of_run() -> None:
    (run,) = body("RUN --mount=type=cache,dst=/c,sharing=locked --mount=target=/src,from=a,rw --network=none make\n")
    assert isinstance(run, nouns.Run)
    assert run.mounts == (
        nouns.Mount("cache", {"target": "/c", "sharing": "locked"}),
        nouns.Mount("bind", {"target": "/src", "from": "a", "rw": "true"}),
    )
    assert run.network == "none"


def test_pairs_new_and_old() -> None:
    env, old, label, arg = body('ENV a=1 b="x y" c=z\\ z\nENV k  v w\nLABEL "com.x"="y"\nARG A B=2\n')
    assert isinstance(env, nouns.Env)
    assert env.pairs == (("a", "1"), ("b", '"x y"'), ("c", "z\\ z"))
    assert isinstance(old, nouns.Env)
    assert old.pairs == (("k", "v w"),)
    assert isinstance(label, nouns.Label)
    assert label.pairs == (('"com.x"', '"y"'),)
    assert isinstance(arg, nouns.Arg)
    assert arg.pairs == (("A", None), ("B", "2"))


def test_healthchecks() -> None:
    check, none = body("HEALTHCHECK --interval=1m30s --retries=5 CMD curl -f localhost\nHEALTHCHECK NONE\n")
    assert isinstance(check, nouns.Healthcheck)
    assert (check.interval, check.retries, check.timeout) == (90_000_000_000, 5, 0)
    assert check.test == nouns.Command(("curl -f localhost",), shell=True)
    assert isinstance(none, nouns.Healthcheck)
    assert none.test is None


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "no instructions"),
        ("RUN a", 1, "no build stage"),
        ("FROM scratch\n\nRUNN x", 3, r"unknown instruction: RUNN \(did you mean RUN\?\)"),
        ("FROM a b", 1, "either one or three arguments"),
        ("FROM a AS 1x", 1, "invalid name for build stage"),
        ("FROM a AS scratch", 1, "reserved stage name"),
        ("FROM a AS x\nFROM b AS X", 2, "duplicate name"),
        ("FROM a\nCOPY x", 2, "COPY requires at least two arguments"),
        ("FROM a\nCOPY --form=b x /", 2, r"unknown flag: --form \(did you mean from\?\)"),
        ("FROM a\nRUN --mount=type=cashe,target=/x y", 2, "unsupported mount type 'cashe'"),
        ("FROM a\nRUN --mount=type=tmpfs,target=/x,id=1 y", 2, "unexpected key 'id'"),
        ("FROM a\nRUN --mount=type=cache y", 2, "requires a target"),
        ("FROM a\nRUN --network=bridge y", 2, "invalid network mode"),
        ("FROM a\nRUN", 2, "RUN requires at least one argument"),
        ("FROM a\nENV x", 2, "ENV must have two arguments"),
        ("FROM a\nENV a=1 b", 2, "can't find = in 'b'"),
        ("FROM a\nSHELL sh", 2, "JSON form"),
        ("FROM a\nONBUILD FROM b", 2, "FROM isn't allowed as an ONBUILD trigger"),
        ("FROM a\nONBUILD ONBUILD RUN x", 2, "Chaining ONBUILD"),
        ("FROM a\nHEALTHCHECK --interval=x CMD y", 2, "is not a duration"),
        ("FROM a\nHEALTHCHECK TEST y", 2, "unknown type 'TEST'"),
        ("FROM a\nRUN <<EOF\nx\n", 2, "unterminated heredoc"),
        ("# escape=x\nFROM a", 1, "invalid ESCAPE"),
        ("# escape=`\n# escape=`\nFROM a", 2, "only one escape"),
        ("FROM a\nSTOPSIGNAL a b", 2, "exactly one argument"),
        ('FROM a\nVOLUME ["x", " "]', 2, "can not be an empty string"),
    ],
)
def test_mistakes_are_told_with_their_line(text: str, line: int, words: str) -> None:
    with pytest.raises(DockerfileError, match=words) as caught:
        parse(text)
    assert caught.value.at.first == line
    assert caught.value.place == f"Dockerfile:{line}"


def test_the_excerpt_points_at_the_word() -> None:
    text = "FROM scratch\nCOPY a b\nRUNN x\nCMD y\n"
    with pytest.raises(DockerfileError) as caught:
        parse(text)
    assert excerpt(text, caught.value).splitlines() == [
        "Dockerfile:3",
        "   1 |   FROM scratch",
        "   2 |   COPY a b",
        "   3 | > RUNN x",
        "     |   ^^^^",
        "   4 |   CMD y",
    ]


VALUES = {"a": "1", "empty": "", "path": "/usr/local/lib/x.tar.gz", "s": "x y"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$a ${a} $no", "1 1 "),
        ("${no:-w$a} ${no-w} ${empty:-e} ${empty-e}", "w1 w e "),
        ("${a:+yes} ${no:+yes} ${empty+set}", "yes  set"),
        (r"\$a '$a' \"", '$a $a "'),
        ('"$s" "a\\"b"', 'x y a"b'),
        ("${path#*/} ${path##*/}", "usr/local/lib/x.tar.gz x.tar.gz"),
        ("${path%.*} ${path%%.*}", "/usr/local/lib/x.tar /usr/local/lib/x"),
        ("${path/lib/LIB} ${path//l/L}", "/usr/local/LIB/x.tar.gz /usr/LocaL/Lib/x.tar.gz"),
        ("100$", "100$"),
    ],
)
def test_expansion_follows_the_shell(text: str, result: str) -> None:
    assert expand(text, VALUES) == result


@pytest.mark.parametrize("text", ["${a", "${", "'x", '"x', "${a!b}", "${no:?is needed}"])
def test_malformed_expansion_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        expand(text, VALUES)


def test_words_split_outside_quotes_and_after_expansion() -> None:
    assert expand_words("a 'b c' $s$a \"\" $no", VALUES) == ["a", "b c", "x y1", ""]
    assert split_words("a='b c' \"d $a\"") == ["a='b c'", '"d $a"']
    assert unset_names("$a $no ${other:-x}", VALUES) == ["no", "other"]


@pytest.mark.parametrize(
    ("patterns", "excluded", "kept"),
    [
        ("*.o", ["a.o"], ["d/a.o", "a.c"]),
        ("**/*.o", ["a.o", "d/e/a.o"], ["a.c"]),
        ("dir", ["dir", "dir/x/y"], ["dirx", "x/dir"]),
        ("*\n!keep", ["a", "b/c"], ["keep", "keep/x"]),
        ("d/**\n!d/x", ["d/y", "d/e/f"], ["d/x"]),
        ("# c\n\n /a/ ", ["a", "a/b"], ["b"]),
        ("a?c\n[xy]z", ["abc", "xz"], ["ac", "az", "a/c"]),
    ],
)
def test_the_last_matching_pattern_decides(patterns: str, excluded: list[str], kept: list[str]) -> None:
    ignore = Ignore(patterns)
    assert [path for path in excluded + kept if ignore.excludes(path)] == excluded


@given(st.text(max_size=200))
def test_any_text_is_parsed_or_refused_with_a_place(text: str) -> None:
    try:
        file = parse("FROM scratch\n" + text)
    except DockerfileError as error:
        place = error.at.first
    else:
        place = len(file.stages)
    assert place >= 1


@given(st.text(alphabet="ab$ {}:-+#%/\"'\\", max_size=40))
def test_any_word_is_expanded_or_refused(text: str) -> None:
    try:
        expand_words(text, VALUES)
    except InvalidArgument:
        return


@pytest.mark.parametrize("line", ["RUN " + "[" * 100_000, "VOLUME " + "[" * 100_000, "ENV A=" + "${a:-" * 50_000])
def test_deep_nesting_is_a_mistake_with_its_line(line: str) -> None:
    with pytest.raises(DockerfileError, match="line 2") as caught:
        parse(f"FROM a\n{line}\n")
    assert caught.value.at.first == 2


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        "RUN <<EOF " + "1" * 1_000_000 + "\nEOF\n",
        "RUN <<EOF " + '\'"\\"' * 250_000 + "\nEOF\n",
        "RUN x \\\n" + " y \\\n" * 100_000 + "z\n",
        "COPY " + " ".join(f"<<a{n}" for n in range(5000)) + " /x/\n" + "".join(f"a{n}\n" for n in range(5000)),
    ],
    ids=["digits", "quotes", "continuations", "here-documents"],
)
def test_a_hostile_line_costs_no_more_than_its_length(text: str) -> None:
    assert parse(f"FROM a\n{text}").stages


@pytest.mark.timeout(20)
def test_a_row_of_stars_is_matched_once() -> None:
    assert not Ignore("a*" * 40 + "b").excludes("a" * 250)
    for pattern, path, matches in [
        *(("a*b*c", "abbc", True), ("*ab*ab", "ab", False), ("*ab*ab", "abab", True), ("***x", "yx", True)),
        *(("*aab*c", "aaabc", True), ("a*[bc]d", "axxbd", True), ("*?", "a", True), ("a*/b", "ax/b", True)),
        *(("[^a]x", "bx", True), ("[!a]x", "bx", False), ("[!a]x", "!x", True)),
    ]:
        assert Ignore(pattern).excludes(path) is matches, pattern
