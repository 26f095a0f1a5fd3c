"""Run a film's numbered notebooks headless: `python python_script/run_notebook.py FILM [STAGE…]`.

FILM is a film's path, or the film_id (or its beginning) of one that is known. Executed copies go to
`log/notebook/<film_id>/`. What is up to date is passed over; a parameter given by hand runs all.
"""

import argparse
import sys
from pathlib import Path

import yaml

from bunny import notebook, pipeline
from bunny.command import film_workspace
from bunny.core import exit_code, log
from bunny.core.error import BunnyError, UserError


def main() -> int:
    """Run the notebooks; 0 is done, 2 the user's error, 1 ours."""
    given = _parser().parse_intermixed_args()
    try:
        _run(given)
    except BunnyError as error:
        print(f"run_notebook: {' '.join(log.redact(str(error)).split())}", file=sys.stderr)
        return exit_code.of_error(error)
    return 0


def _run(given: argparse.Namespace) -> None:
    film_id = given.film
    if Path(given.film).exists():
        path, references = str(Path(given.film).resolve()), given.references
        folder = str(Path(references).resolve()) if references else ""
        film_id = notebook.create_workspace(path, folder, given.data_dir, given.set)
    space, config = film_workspace.open_film(film_id, given.data_dir, given.set)
    log.configure(space.log / space.film_id)
    stages = pipeline.choose_stages(config, given.stage)
    results = notebook.run(
        space, config, stages, overrides=given.set, parameters=_parameters(given.parameter)
    )
    for result in results:
        print(f"{result.name:9} {result.status:8} {result.rows:6} rows {result.seconds:8.1f} s")
    print(f"executed copies: {space.log / 'notebook' / space.film_id}")


def _parameters(texts: list[str]) -> dict[str, object]:
    """Read name=value pairs, values in YAML notation."""
    values = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise UserError(f"--parameter {text}: expected name=value, e.g. blur_threshold=0.4")
        values[name.strip()] = yaml.safe_load(value)
    return values


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", help="a film's path, or a film_id or its beginning")
    parser.add_argument("stage", nargs="*", help="stages to run; default those of the settings")
    parser.add_argument("--references", help="folder with <name>.jpg or <name>/*.jpg")
    parser.add_argument("--data-dir", help="folder of workspaces")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="NAME=VALUE", help="of the notebooks"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
