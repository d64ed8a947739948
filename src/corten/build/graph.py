"""The build as a graph of vertices, each named by the digest of what it means.

A vertex is an operation on the results of others; its result is a file system. The digest covers the operation and, by
their digests, all that it stands on: two builds that mean the same thing share a vertex, whatever their text. It is
BuildKit's LLB in shape (solver/pb/ops.proto), so that its API can grow on it:

    Image     SourceOp docker-image://    the root file system of an image
    Context   SourceOp local://           the files that the client sent
    Scratch   (no input)                  nothing
    Exec      ExecOp                      run a command
    Copy      FileOp copy                 files of another result, below this one's root
    Fetch     SourceOp http://, git://    what ADD downloads
    Write     FileOp mkfile               files whose text the Dockerfile holds
    Mkdir     FileOp mkdir                WORKDIR
    Merge     MergeOp                     the layers of one result on top of another: COPY --link
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property

from corten.build.dockerfile.error import Range

__all__ = [
    "Context",
    "Copy",
    "Exec",
    "Fetch",
    "Image",
    "Merge",
    "Mkdir",
    "Mount",
    "Op",
    "Scratch",
    "Vertex",
    "Write",
    "walk",
]


@dataclass(frozen=True, slots=True)
class Scratch:
    """An empty file system."""


@dataclass(frozen=True, slots=True)
class Image:
    """`id` is the image's, so that a moved tag is another vertex; `chain` names its top snapshot, empty for none."""

    reference: str
    id: str
    chain: str


@dataclass(frozen=True, slots=True)
class Context:
    """The build context called `name` (the main one is ``context``); what is in it decides by content, at each copy."""

    name: str = "context"


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount of an Exec. `input` is the number of the vertex it shows (bind and cache), -1 for none."""

    type: str
    target: str
    input: int = -1
    source: str = ""
    readonly: bool = False
    id: str = ""
    sharing: str = "shared"
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    required: bool = False
    env: str = ""


@dataclass(frozen=True, slots=True)
class Exec:
    """Run `args` on the first input's files; what it changes there is the result."""

    args: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    user: str
    mounts: tuple[Mount, ...] = ()
    network: str = "default"
    hidden_env: tuple[str, ...] = field(default=(), metadata={"keyless": True})


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy `sources` (patterns) of the second input to `target` on the first."""

    sources: tuple[str, ...]
    target: str
    chown: str = ""
    chmod: str = ""
    unpack: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    link: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """A tree of what an address gives: one file of an http(s) URL, or a git repository."""

    url: str
    checksum: str = ""
    keep_git_dir: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """A tree of files given as text: (name, text) each, all with the permissions `mode`."""

    files: tuple[tuple[str, str], ...]
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Mkdir:
    """The directory `path` and its parents on the first input; an existing one stays as it is."""

    path: str
    user: str = ""


@dataclass(frozen=True, slots=True)
class Merge:
    """The second input's layers on top of the first input. They were made on nothing, so they fit on anything."""


Op = Scratch | Image | Context | Exec | Copy | Fetch | Write | Mkdir | Merge


@dataclass(frozen=True)
class Vertex:
    """`name` is for people (``[build 2/3] RUN make``); `at` are the lines it comes from. Neither is in the digest."""

    op: Op
    inputs: tuple["Vertex", ...] = ()
    name: str = field(default="", compare=False)
    at: Range | None = field(default=None, compare=False)
    no_cache: bool = field(default=False, compare=False)

    @cached_property
    def digest(self) -> str:
        """``sha256:`` of the operation and the inputs' digests."""
        fields = {key: value for key, value in asdict(self.op).items() if key != "hidden_env"}
        meaning = [type(self.op).__name__, fields, [one.digest for one in self.inputs]]
        encoded = json.dumps(meaning, sort_keys=True, separators=(",", ":")).encode()
        return "sha256:" + hashlib.sha256(encoded).hexdigest()


def walk(root: Vertex) -> Iterator[Vertex]:
    """Every vertex that `root` stands on, once, inputs before users; `root` is the last."""
    seen: set[str] = set()
    stack = [(root, False)]
    while stack:
        vertex, expanded = stack.pop()
        if vertex.digest in seen:
            continue
        if expanded:
            seen.add(vertex.digest)
            yield vertex
        else:
            stack.append((vertex, True))
            stack += [(one, False) for one in reversed(vertex.inputs)]
