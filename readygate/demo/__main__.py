"""The command that runs the demo: `python -m readygate.demo serve --dir DIR --port PORT`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from readygate.demo.certificates import CHAIN, KEY
from readygate.demo.faults import FAULTS, Fault
from readygate.demo.service import LOG, prepare, serve
from readygate.demo.settings import Settings

SOUND = Fault("none", "Nothing is broken.")


def main() -> int:
    """Prepare the directory and serve from it until SIGTERM; returns 1 where the shop cannot start."""
    options = _parser().parse_args()
    options.dir.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=options.dir / LOG, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.captureWarnings(True)
    settings = options.fault.adjust(
        Settings(options.dir.resolve(), options.port, options.http_port, options.extra_port)
    )
    try:
        prepare(settings)
        options.fault.spoil(settings.directory)
        serve(settings)
    except OSError as error:
        logging.exception("the shop cannot start")
        missing = [name for name in (CHAIN, KEY) if not (options.dir / name).exists()]  # which ssl does not name
        sys.stderr.write(f"the shop cannot start: {f'{missing[0]} is missing' if missing else error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m readygate.demo", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("serve", help="run the demo in the foreground until SIGTERM")
    command.add_argument("--dir", type=Path, required=True, help="a new or empty directory for its files")
    command.add_argument("--port", type=int, required=True, help="HTTPS, on 127.0.0.1")
    command.add_argument("--http-port", type=int, help="plain HTTP that redirects to HTTPS")
    command.add_argument("--extra-port", type=int, default=0, help="the port that the fault open-port opens")
    command.add_argument(
        "--break",
        dest="fault",
        metavar="NAME",
        type=_fault,
        default=os.environ.get("READYGATE_DEMO_BREAK") or SOUND.name,
        help=f"be broken: {', '.join(FAULTS)} (default: READYGATE_DEMO_BREAK, or none)",
    )
    return parser


def _fault(name: str) -> Fault:
    try:
        return (FAULTS | {SOUND.name: SOUND})[name]
    except KeyError:
        raise argparse.ArgumentTypeError(f"no fault is called {name!r}; write one of {', '.join(FAULTS)}") from None


if __name__ == "__main__":
    sys.exit(main())
