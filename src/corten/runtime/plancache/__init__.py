"""The plan cache: what the compiler found out once, kept for the static program: the next start needs no Python.

A plan is a pure function of the *document* (config.json), of a few command-line options, and of the host. An **entry**
keeps it with all of that, and native/front_entry.c uses it only where all of it is the same:

* the document, byte by byte, but for its **holes** (`holes`): strings that callers fill in anew each time, such as the
  id in a path. A value goes whole to one argument of a row; `template` proves that nothing else depends on it;
* the **key**: a text about this program, this boot and this process, which C writes and Python only checks (`front`);
* **witnesses** (`host`): the files of the host that compiling looked at, with what they said.

What depends on anything else is not kept, for a reason of `reasons.REASONS`. `store` is called when a launch that C
handed over has come up; it never makes a launch fail.

::

    C: no entry ──config, key──▶ Python: compile, launch, then keep(...) ──▶ /run/corten-plans/HASH.N
    C: an entry matches ──▶ its plan with the values in it ──▶ @launch

The directory and its files belong to the effective user alone (0700, 0600), and neither side follows a link there.
"""

from corten.runtime.plancache.store import Launched, keep_exec, keep_launch

__all__ = ["Launched", "keep_exec", "keep_launch"]
