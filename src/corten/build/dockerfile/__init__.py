"""The Dockerfile language: text to instructions, each with the lines it stands on.

    text ─lines→ logical lines (directives, comments, continuations, here-documents)
         ─parse→ instructions (a frozen value per instruction, flags checked, words not yet expanded)
         ─stages→ the build's stages, and the global arguments before the first FROM

Expansion of variables (`words`) happens when a stage is lowered to a graph, since what a variable means depends on the
instructions before it. Every error is a `DockerfileError` with its place, a caret under it and the remedy.

Source of the rules: docs.docker.com/reference/dockerfile, syntax 1.x.
"""

from corten.build.dockerfile.error import DockerfileError
from corten.build.dockerfile.ignore import Ignore
from corten.build.dockerfile.parse import Dockerfile, parse

__all__ = ["Dockerfile", "DockerfileError", "Ignore", "parse"]
