"""Folds an image's defaults into what the user asked for, by Docker's rules.

The user's word wins; lists of variables, ports, volumes and labels are united. The command has its own rule: an
entrypoint of the user discards the image's command too, since that was written for the image's entrypoint.
"""

from msgspec.structs import replace

from corten.model.container import ContainerConfig, HealthConfig
from corten.model.errors import InvalidArgument
from corten.model.image import Healthcheck, RunConfig

__all__ = ["merge", "with_command"]


def merge(asked: ContainerConfig, image: RunConfig) -> ContainerConfig:
    """The whole configuration; raises InvalidArgument when neither side says what to run."""
    united = replace(
        with_command(asked, image),
        user=asked.user or image.user,
        env=environment(asked.env or (), image.env or ()),
        exposed_ports={**(image.exposed_ports or {}), **(asked.exposed_ports or {})} or None,
        volumes={**(image.volumes or {}), **(asked.volumes or {})} or None,
        labels={**(image.labels or {}), **(asked.labels or {})},
        working_dir=asked.working_dir or image.working_dir,
        stop_signal=asked.stop_signal or image.stop_signal,
        healthcheck=health(asked.healthcheck, image.healthcheck),
        shell=asked.shell or (tuple(image.shell) if image.shell else None),
    )
    if not united.entrypoint and not united.cmd:
        raise InvalidArgument("no command specified", hint="the image has none either: give one after its name")
    return united


def with_command(asked: ContainerConfig, image: RunConfig) -> ContainerConfig:
    """Entrypoint and command. `[""]` (from `--entrypoint ""`) means "none, and not the image's either"."""
    if asked.entrypoint:
        return replace(asked, entrypoint=None) if asked.entrypoint == ("",) else asked
    cmd = asked.cmd or (tuple(image.cmd) if image.cmd is not None else None)
    entrypoint = asked.entrypoint
    if entrypoint is None and image.entrypoint is not None:
        entrypoint = tuple(image.entrypoint)
    return replace(asked, cmd=cmd, entrypoint=entrypoint)


def environment(asked: tuple[str, ...], image: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """The user's variables, then the image's that the user did not set."""
    own = {entry.partition("=")[0] for entry in asked}
    return (*asked, *(entry for entry in image if entry.partition("=")[0] not in own))


def health(asked: HealthConfig | None, image: Healthcheck | None) -> HealthConfig | None:
    """The probe: what the user left out of it comes from the image."""
    if image is None:
        return asked
    asked = asked or HealthConfig()
    return HealthConfig(
        test=asked.test or (tuple(image.test) if image.test else None),
        interval=asked.interval or image.interval,
        timeout=asked.timeout or image.timeout,
        start_period=asked.start_period or image.start_period,
        start_interval=asked.start_interval or image.start_interval,
        retries=asked.retries or image.retries,
    )
