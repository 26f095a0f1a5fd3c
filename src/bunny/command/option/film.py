"""Options of the commands that run films: run, batch, and `bunny library` with --run."""

from dataclasses import dataclass, field
from typing import Annotated

import typer

from bunny.command.option.common import DataDir, Overrides, with_force

Until = Annotated[str | None, typer.Option(help="Last stage to run.")]
Address = Annotated[
    str | None,
    typer.Option(
        help="Address of a Ray cluster, e.g. auto; default: RAY_ADDRESS, or else this machine."
    ),
]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Which stages of a film run, and with which settings."""

    data_dir: DataDir = None
    only: Annotated[
        str | None, typer.Option(help="Run only these stages, separated by commas.")
    ] = None
    until: Until = None
    is_forced: Annotated[
        bool, typer.Option("--force", help="Also run stages that are up to date.")
    ] = False
    settings: Overrides = field(default_factory=list)
    is_notebook: Annotated[
        bool, typer.Option("--notebooks", help="Run the notebooks instead of the stages.")
    ] = False

    @property
    def overrides(self) -> list[str]:
        """Settings of this run, `--force` among them."""
        return with_force(self.settings, is_forced=self.is_forced)

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the only stages that run; empty: all."""
        return tuple(name.strip() for name in self.only.split(",")) if self.only else ()


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Options of a batch."""

    engine: Annotated[
        str, typer.Option(help="local (processes on this machine) or ray (requires the extra ray).")
    ] = "local"
    address: Address = None
    num_workers: Annotated[
        int,
        typer.Option(
            "--workers", min=0, help="Films to run at once on this machine; 0: one per two cores."
        ),
    ] = 0
    cpus: Annotated[
        float, typer.Option(min=0.1, help="Cores to request from Ray for each film.")
    ] = 2.0
    gpus: Annotated[
        float,
        typer.Option(
            min=0,
            help="GPUs to request from Ray for a film's fine-tune, which becomes a separate task; "
            "0: each film is one task, on any node.",
        ),
    ] = 0.0
    memory_gib: Annotated[
        float | None,
        typer.Option(
            "--memory",
            min=0,
            help="GiB of memory to request from Ray for each film; 0: do not request any; "
            "default: 25 % more than the stages of earlier films used, and at least 1.3.",
        ),
    ] = None
    part_minutes: Annotated[
        float,
        typer.Option(
            min=0,
            help="Films at least twice this long are split into time ranges that idle workers "
            "share; 0: never.",
        ),
    ] = 30.0


@dataclass(frozen=True, kw_only=True)
class RerunOptions:
    """Whether and how films run after the library changed."""

    is_run: Annotated[
        bool,
        typer.Option(
            "--run",
            help="Rerun the affected films, each up to the stage it had reached but without "
            "training, and add them again.",
        ),
    ] = False
    engine: Annotated[
        str, typer.Option(help="With --run: local (processes on this machine) or ray.")
    ] = "local"
    address: Address = None
    num_workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=0,
            help="With --run: films to run at once on this machine; 0: one per two cores.",
        ),
    ] = 0
