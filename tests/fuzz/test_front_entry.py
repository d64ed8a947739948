"""The plan cache's reader and hole matcher under mutated entries, with sanitizers; no flipped bit of one passes."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from corten.runtime.compiler import Options, compile
from corten.runtime.plancache import holes as holes_of
from corten.runtime.plancache import pieces, template
from corten.runtime.plancache.entry import Entry
from corten.runtime.plancache.host import TEXT, Witness, Witnessed
from corten.runtime.plancache.store import Launched
from corten.runtime.plancache.values import BUNDLE, HOLES, ID, Value
from corten.runtime.template import config
from tests.fuzz.test_plan_decoder import HERE, NATIVE, SANITIZERS, SECONDS


def example() -> tuple[bytes, bytes]:
    """An entry of the `spec` bundle, and its document."""
    spec = json.loads(json.dumps(config()))
    spec["process"]["terminal"] = False
    spec["linux"]["cgroupsPath"] = "/corten/web"
    document = json.dumps(spec).encode()
    holes = holes_of.in_config(document, spec)
    host = Witnessed()
    holes_of.mark(spec, holes, HOLES)
    made = compile(spec, host, bundle=Value.of("/bundle", BUNDLE), id=Value.of("web", ID), options=Options())
    code, patches = template.made(made)
    names = ("id", "status", "pid", "start", "bundle", "created", "external_descriptors", "owner")
    record = {**dict.fromkeys(names, ""), "rootfs": "/bundle/rootfs", "cgroupsPath": "/corten/web", "annotations": {}}
    launched = Launched("web", "/bundle", Options(), {**record, "fallback": False})
    entry = Entry(
        key=b"key",
        wanted=(0, 0),
        document=document,
        holes=holes,
        witnesses=[Witness(TEXT, "/proc/self/oom_score_adj", b"0")],
        plan=code,
        patches=patches,
        record=(0, 2 + len(holes)),
        state_pieces=pieces.of_state(launched, holes),
        record_pieces=pieces.of_record(launched, holes, host.layout),
    )
    return entry.encode(), document


def test_no_entry_makes_the_reader_leave_its_bytes_and_no_flipped_bit_passes(scratch: Path) -> None:
    compiler = os.environ.get("CC") or shutil.which("cc")
    if not compiler:
        pytest.skip("needs a C compiler with sanitizers")
    target = scratch / "front_entry"
    subprocess.run([compiler, *SANITIZERS, "-o", str(target), str(HERE / "front_entry.c")], check=True)
    assert (NATIVE / "front_entry.c").exists()
    entry, document = example()
    (scratch / "entry").write_bytes(entry)
    (scratch / "document").write_bytes(document)
    command = [str(target), SECONDS, str(scratch / "entry"), str(scratch / "document")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[2]) > 100
