"""Running things: a container as a task, whose stdio, log and end outlive the engine.

Beside every container runs a small C program, its **monitor** (`corten @monitor`, native/monitor.c). It is the parent
of the container's first process and of every further one; it holds their pipes or terminal, writes the log, pumps
bytes between processes and attached clients, and records the end. The engine only talks to it: kill the engine, and
containers run on, logs grow, clients stay attached; start another one, and it finds everything again::

    engine (Tasks) ──spawns──▶ monitor ──spawns──▶ corten @launch ──becomes──▶ the container's process
       │   ▲                    │  ▲  ▲                 │
       │   └─ answers, events ──┘  │  └── stdio ────────┘        CREATE START ATTACH EXEC RESIZE … (protocol)
       └──── control socket ───────┼── checkpoints, errors ─┘    (corten.plan.control)
    API client's own socket ───────┘                             handed over by ATTACH

The life of a task::

    tasks = Tasks("/run/corten/tasks")
    task = tasks.create(spec, TaskConfig(id="web", log=LogFile("/var/lib/corten/web/web-json.log")))
    task.attach(client, AttachOptions(stdin=True))     created: complete, but its program does not run yet
    task.subscribe(print)
    task.start()                                       running; or the error of the row that failed, and nothing is left
    task.exec(process, ExecConfig("probe")).start()
    task.wait()                                        Exit(code=0, signal=0, oom_killed=False, at=1795459669938176234)
    task.delete()

`Tasks.restore` finds tasks again after the engine's death: by the monitor's socket; else, when the monitor has left, by
the end it recorded, with its true time; else by the process itself (boot, pid, start time).

Who waits for whom. Nothing ever waits for a dead engine. A process waits for its clients only when one of them is 64
MiB behind, and then at most 30 seconds without progress, after which that client is cut off; until then its bytes wait
in a file, and the log goes on. A monitor leaves as soon as the container has ended and its clients have what is theirs.

Read on in `tasks` (create, restore), `task` and `exec` over `process`, `connection` and `protocol` (the messages;
the C side is generated from that table), `state` (the files), `watcher` (the one thread that calls back).
"""

from corten.tasks.config import AttachOptions, ExecConfig, LogFile, TaskConfig
from corten.tasks.exec import Exec
from corten.tasks.exit import Exit
from corten.tasks.task import Task
from corten.tasks.tasks import Tasks

__all__ = ["AttachOptions", "Exec", "ExecConfig", "Exit", "LogFile", "Task", "TaskConfig", "Tasks"]
