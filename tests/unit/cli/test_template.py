"""Go's text/template: each row was checked against Docker's own command."""

from typing import Any

import pytest

from corten.cli.template import GoMap, NilList, NilMap, Template, TemplateError

DATA: dict[str, Any] = {
    "Name": "web",
    "State": {"Running": True, "ExitCode": 0, "Status": "running"},
    "Ports": ["80/tcp", "443/tcp"],
    "Labels": GoMap({"b": "2", "a": "1"}),
    "Nothing": None,
    "NoList": NilList(),
    "NoMap": NilMap(),
    "Sizes": [3, 1, 2],
    "Half": 0.5,
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Name}}", "web"),
        ("{{ .State.Status }}", "running"),
        ("a {{- .Name -}} b", "awebb"),
        ("{{/* nothing */}}x", "x"),
        ("{{.Ports}} {{.Sizes}} {{.State}}", "[80/tcp 443/tcp] [3 1 2] map[ExitCode:0 Running:true Status:running]"),
        ("{{.Nothing}} {{.NoList}} {{.NoMap}}", "<nil> [] map[]"),
        ("{{.Labels.a}} {{.Labels.c}}", "1 <no value>"),
        ("{{json .}}", None),
        ("{{json .Labels}} {{json .NoList}} {{json .Half}}", '{"a":"1","b":"2"} null 0.5'),
        ('{{index .Ports 1}} {{index .Labels "a"}} {{index .Labels "zz"}}.', "443/tcp 1 ."),
        ("{{len .Ports}} {{len .Name}}", "2 3"),
        ("{{range .Ports}}<{{.}}>{{else}}none{{end}}", "<80/tcp><443/tcp>"),
        ("{{range .NoList}}x{{else}}none{{end}}", "none"),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a=1;b=2;"),
        ("{{range $i, $p := .Ports}}{{if $i}}, {{end}}{{$p}}{{end}}", "80/tcp, 443/tcp"),
        ("{{range .Sizes}}{{if eq . 1}}{{continue}}{{end}}{{.}}{{end}}", "32"),
        ("{{range .Sizes}}{{if eq . 1}}{{break}}{{end}}{{.}}{{end}}", "3"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ('{{if eq .Name "db"}}1{{else if eq .Name "web" "x"}}2{{else}}3{{end}}', "2"),
        ("{{with .State}}{{.Status}}{{end}}", "running"),
        ("{{with .Nothing}}x{{else with .Name}}{{.}}{{end}}", "web"),
        ("{{with $x := .Name}}{{$x}}{{$.State.ExitCode}}{{end}}", "web0"),
        ('{{$x := "a"}}{{if true}}{{$x = "b"}}{{end}}{{$x}}', "b"),
        (
            '{{printf "%-5s|%5s|%03d|%q|%v|%x" .Name .Name 7 .Name .Ports "hi"}}',
            'web  |  web|007|"web"|[80/tcp 443/tcp]|6869',
        ),
        ('{{printf "%d %s" "a" 1}}', "%!d(string=a) %!s(int=1)"),
        ('{{printf "%s"}} {{printf "x" 1}}', "%!s(MISSING) x%!(EXTRA int=1)"),
        ('{{.Name | printf "%s-%s" "a"}}', "a-web"),
        ("{{print 1 2 .Name 3}} {{println 1 2}}", "1 2web3 1 2\n"),
        ("{{and 1 0}} {{or 0 .Name}} {{not true}}", "0 web false"),
        ("{{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 1 2}} {{ne 1 2}}", "true true false false true"),
        (
            '{{join .Ports "+"}} {{split "a,b" ","}} {{upper .Name}} {{lower "AB"}} {{title "ab cd"}}',
            "80/tcp+443/tcp [a b] WEB ab Ab Cd",
        ),
        ('{{pad .Name 1 2}}|{{pad "" 1 2}}|{{truncate .Name 2}}', " web  ||we"),
        ("{{slice .Name 1}} {{slice .Sizes 0 2}}", "eb [3 1]"),
        ("{{(index .Ports 0) | len}} {{(index .Ports 0)}}", "6 80/tcp"),
        ('{{define "x"}}[{{.}}]{{end}}{{template "x" .Name}}', "[web]"),
        ('{{block "y" .Name}}<{{.}}>{{end}}', "<web>"),
        ("{{`raw \\n`}} {{'a'}} {{0x10}} {{1e3}}", "raw \\n 97 16 1000"),
        ('{{html "<a>"}} {{urlquery "a b/c"}} {{js "it\'s"}}', "&lt;a&gt; a+b%2Fc it\\'s"),
        ("{{.Half}} {{.State.Running}}", "0.5 true"),
    ],
)
def test_a_template_prints_what_go_prints(template: str, text: str | None) -> None:
    printed = Template(template).render(DATA)
    assert text is None or printed == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{", "template: :1: unclosed action"),
        ("{{foo}}", 'template: :1: function "foo" not defined'),
        ("{{$y}}", 'template: :1: undefined variable "$y"'),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{if}}x{{end}}", "template: :1: missing value for if"),
        ("{{if .A}}", "template: :1: unexpected EOF"),
        ("a\n{{.A", "template: :2: unclosed action"),
        ('{{"a}}', "template: :1: unterminated quoted string"),
        ("{{(.A}}", "template: :1: unclosed left paren"),
        ("{{.A)}}", "template: :1: unexpected right paren"),
        ("{{/* a }}", "template: :1: unclosed comment"),
        ("{{break}}", "template: :1: {{break}} outside {{range}}"),
        ("{{}}", "template: :1: missing value for command"),
    ],
)
def test_what_is_no_template_is_refused_in_gos_words(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(template)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.Foo}}", 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'),
        ("{{.State.Foo}}", 'template: :1:8: executing "" at <.State.Foo>: map has no entry for key "Foo"'),
        ("{{.Name.Foo}}", 'template: :1:7: executing "" at <.Name.Foo>: can\'t evaluate field Foo in type string'),
        (
            "{{.Nothing.Foo}}",
            'template: :1:10: executing "" at <.Nothing.Foo>: nil pointer evaluating interface {}.Foo',
        ),
        (
            "{{index .Ports 9}}",
            'template: :1:2: executing "" at <index .Ports 9>: error calling index: index out of range: 9',
        ),
        (
            '{{eq 1 "a"}}',
            'template: :1:2: executing "" at <eq 1 "a">: error calling eq: incompatible types for comparison',
        ),
        ('{{template "z"}}', 'template: :1:2: executing "" at <>: template "z" not defined'),
        ("{{range .Name}}{{end}}", 'template: :1:8: executing "" at <.Name>: range can\'t iterate over web'),
    ],
)
def test_a_failed_execution_says_where(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(template).render(DATA, strict=True)
    assert str(caught.value) == message


def test_endless_recursion_ends() -> None:
    with pytest.raises(TemplateError, match="maximum template depth"):
        Template('{{define "x"}}{{template "x"}}{{end}}{{template "x"}}').render({})
