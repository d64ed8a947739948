"""Text to logical lines: parser directives, comments, continuations and here-documents.

    # syntax=docker/dockerfile:1      directives stand at the very top, before any comment or blank line
    # escape=`
    RUN one \\
      # a comment inside a continuation is left out
      two
    COPY <<EOF /etc/motd
    hello
    EOF
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from corten.build.dockerfile.error import DockerfileError, Range

__all__ = ["Heredoc", "Line", "Source", "read_lines"]

DIRECTIVE = re.compile(r"^#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$")
DIRECTIVES = ("syntax", "escape", "check")
# The look behind keeps a long row of digits from being tried at each of them.
HEREDOC = re.compile(r"((?<!\d)\d*)<<(-?)(?:'([^'\s]+)'|\"([^\"\s]+)\"|([A-Za-z0-9_.$-]+))")
QUOTE = re.compile("['\"]")
WITH_HEREDOC = ("RUN", "COPY", "ADD")


class Heredoc(NamedTuple):
    """A here-document: `expand` unless its delimiter was quoted; `chomp` (``<<-``) has taken leading tabs away."""

    name: str
    body: str
    expand: bool
    chomp: bool
    descriptor: int = 0


class Line(NamedTuple):
    """One instruction's text, its continuations joined, with its here-documents."""

    text: str
    at: Range
    heredocs: tuple[Heredoc, ...] = ()


class Source(NamedTuple):
    """A whole Dockerfile as logical lines; `escape` is the continuation and escape character."""

    lines: tuple[Line, ...]
    escape: str
    directives: dict[str, str]


def read_lines(text: str) -> Source:
    """Split a Dockerfile; raises DockerfileError for a bad directive or an unfinished here-document."""
    raw = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    directives = read_directives(raw)
    escape = directives.get("escape", "\\")
    reader = Reader(raw, escape)
    lines = []
    while (line := reader.next_line()) is not None:
        lines.append(line)
    return Source(tuple(lines), escape, directives)


def read_directives(raw: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(raw, 1):
        match = DIRECTIVE.match(line.strip()) if line.lstrip().startswith("#") else None
        if number == 1 and line.startswith("#!"):
            continue
        if not match or match[1].lower() not in DIRECTIVES:
            break
        name, value = match[1].lower(), match[2]
        if name in found:
            raise DockerfileError(f"only one {name} parser directive can be used", Range(number, number), near=line)
        if name == "escape" and value not in ("\\", "`"):
            raise DockerfileError(f"invalid ESCAPE {value!r}. Must be ` or \\", Range(number, number), near=value)
        found[name] = value
    return found


class Reader:
    """Walks the raw lines once."""

    def __init__(self, raw: list[str], escape: str) -> None:
        self.raw = raw
        self.at = 0
        sign = re.escape(escape)
        self.continued = re.compile(rf"(?:^|[^{sign}]){sign}[ \t]*$")

    def next_line(self) -> Line | None:
        """The next instruction; comments and blank lines before it are passed over."""
        first = 0
        text = ""
        while self.at < len(self.raw):
            line = self.raw[self.at]
            self.at += 1
            if line.lstrip().startswith("#") or not line.strip():
                continue
            if not first:
                first, line = self.at, line.lstrip()
            if self.continued.search(line):
                text += line.rstrip(" \t")[:-1]
                continue
            text += line
            break
        if not first:
            return None
        at = Range(first, self.at)
        heredocs = tuple(self.read_heredoc(match, at) for match in find_heredocs(text))
        return Line(text.rstrip(), Range(first, self.at), heredocs)

    def read_heredoc(self, match: "re.Match[str]", at: Range) -> Heredoc:
        quoted = match[3] or match[4]
        name, chomp = quoted or match[5], match[2] == "-"
        if "/" in name or name in (".", ".."):
            raise DockerfileError(f"heredoc name {name!r} is no file name", at, near=match[0])
        body: list[str] = []
        while self.at < len(self.raw):
            line = self.raw[self.at]
            self.at += 1
            bare = line.lstrip("\t") if chomp else line
            if bare == name:
                text = "".join(one + "\n" for one in body)
                return Heredoc(name, text, not quoted, chomp, int(match[1] or 0))
            body.append(bare)
        raise DockerfileError("unterminated heredoc", at, hint=f"end it with a line {name}", near=match[0])


def quoted_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where quotes begin and end; one that is never closed quotes nothing. One pass: a line may be hostile and long."""
    at = 0
    while match := QUOTE.search(text, at):
        begin, sign = match.start(), match[0]
        end = begin + 1
        while 0 <= end < len(text) and text[end] != sign:
            end = text.find(sign, end) if sign == "'" else end + 1 + (text[end] == "\\")
        if not 0 <= end < len(text):
            return
        yield begin, end + 1
        at = end + 1


def find_heredocs(text: str) -> list["re.Match[str]"]:
    """The here-document words of a RUN, COPY or ADD line, outside quotes."""
    words = text.split(None, 2)
    command = words[1] if len(words) > 1 and words[0].upper() == "ONBUILD" else words[0]
    if command.upper() not in WITH_HEREDOC or "<<" not in text:
        return []
    quoted = list(quoted_spans(text))
    return [
        match
        for match in HEREDOC.finditer(text)
        if not any(begin < match.start() < end for begin, end in quoted) and not text[: match.start()].endswith("<")
    ]
