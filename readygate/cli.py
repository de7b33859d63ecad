"""The `readygate` command: what may be asked, and the exit code of every way to end."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from readygate import __version__
from readygate.errors import ExitCode, ReadygateError, UsageError

# What a command needs is imported when it runs, so that `--help` answers at once.


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code that design and docs/exit-codes.md promise."""
    try:
        words = list(sys.argv[1:] if argv is None else argv)
        cut = words.index("--") if "--" in words else len(words)
        arguments = _parser().parse_args(words[:cut])
        arguments.pytest_args = tuple(words[cut + 1 :])
        if arguments.pytest_args and arguments.command is not _run:
            raise UsageError("only `readygate run` takes arguments for pytest after --")
        command: Callable[[argparse.Namespace], int] = arguments.command
        return int(command(arguments))
    except ReadygateError as error:
        _complain(str(error))
        return int(error.exit_code)
    except KeyboardInterrupt:
        _complain("interrupted")
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone, e.g. `readygate plan | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.GO)
    except Exception:  # noqa: BLE001 - the last line of defence: never a traceback at the user
        return _internal_error(traceback.format_exc())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="readygate",
        description="One inventory, one command, one verdict: GO or NO-GO.",
        epilog="Exit codes: 0 GO, 1 NO-GO, 2 usage or inventory error, 3 INCOMPLETE, 70 internal, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"readygate {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = _command(commands, "run", _run, "look at everything declared and give the verdict")
    run.add_argument("profile", nargs="?", default="release", help="report profile in reports/ (default: release)")
    _add_inventory(run)
    _add_out(run)
    run.usage = "readygate run [PROFILE] [--inventory FILE] [--env ENV] [--out FOLDER] [-- PYTEST_ARG ...]"

    demo = _command(commands, "demo", _demo, "gate the embedded demo service; break it and see")
    demo.add_argument("--break", dest="fault", metavar="FAULT", help="plant one fault (see --list)")
    demo.add_argument("--list", action="store_true", help="list the faults that can be planted")
    _add_out(demo)

    plan = _command(commands, "plan", _plan, "list every expectation: check, target, line, and who verifies it")
    _add_inventory(plan)
    plan.add_argument("--json", action="store_true", help="print JSON instead of a table")

    lint = _command(commands, "lint", _lint, "check the inventory without looking at anything")
    _add_inventory(lint)

    report = _command(commands, "report", _report, "judge a stored run again and draw its report")
    report.add_argument(
        "results", nargs="?", type=Path, default=Path("readygate-out"), help="results.json or its folder"
    )
    report.add_argument("--profile", help="judge by this profile instead of the run's own")
    report.add_argument("--language", choices=("en", "ru"), default="en", help="language the page opens in")
    report.add_argument("--root", type=Path, default=Path.cwd(), help="folder with reports/ and templates/")

    schema = _command(commands, "schema", _schema, "print the JSON Schema of the inventory, for editors")
    schema.add_argument("--results", action="store_true", help="print the schema of results.json instead")

    init = _command(commands, "init", _init, "write the starting files into a folder; never overwrites")
    init.add_argument("folder", nargs="?", type=Path, default=Path.cwd())
    init.add_argument("--diff", action="store_true", help="show how the folder differs from what is shipped")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    function: Callable[[argparse.Namespace], int],
    explanation: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=explanation, description=f"{explanation[0].upper()}{explanation[1:]}.")
    parser.set_defaults(command=function)
    return parser


def _add_inventory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--inventory", type=Path, default=Path("inventory.yml"), help="default: inventory.yml")
    parser.add_argument("--env", help="environment whose overlay is merged over the inventory")


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("readygate-out"), help="default: readygate-out")


def _run(arguments: argparse.Namespace) -> int:
    from readygate.running import run

    return run(arguments.inventory, arguments.env, arguments.profile, arguments.out, extra=arguments.pytest_args)


def _demo(arguments: argparse.Namespace) -> int:
    from readygate.demo.run import list_faults, run_demo

    return list_faults() if arguments.list else run_demo(arguments.fault, arguments.out)


def _plan(arguments: argparse.Namespace) -> int:
    from readygate.planning import print_plan

    return print_plan(arguments.inventory, arguments.env, as_json=arguments.json)


def _lint(arguments: argparse.Namespace) -> int:
    from readygate.inventory import load

    inventory = load(arguments.inventory, arguments.env, os.environ)
    where = f" in environment {inventory.environment}" if inventory.environment else ""
    print(f"{arguments.inventory}: {len(inventory.leaves)} expectations{where}, all well-formed")
    return ExitCode.GO


def _report(arguments: argparse.Namespace) -> int:
    from readygate.running import redraw

    return redraw(arguments.results, arguments.root, arguments.profile, arguments.language)


def _schema(arguments: argparse.Namespace) -> int:
    import json

    from readygate.schema import inventory_schema, results_schema

    print(json.dumps(results_schema() if arguments.results else inventory_schema(), indent=2, ensure_ascii=False))
    return ExitCode.GO


def _init(arguments: argparse.Namespace) -> int:
    from readygate.starting import init, show_diff

    return show_diff(arguments.folder) if arguments.diff else init(arguments.folder)


def _complain(text: str) -> None:
    from readygate.redaction import REDACTOR

    print(REDACTOR.redact(text), file=sys.stderr)


def _internal_error(details: str) -> int:
    from readygate.redaction import REDACTOR

    with tempfile.NamedTemporaryFile("w", prefix="readygate-", suffix=".log", delete=False) as log:
        log.write(REDACTOR.redact(f"readygate {__version__}, Python {sys.version}\n\n{details}"))
    last = details.strip().splitlines()[-1]
    _complain(f"readygate: internal error, a bug of ours: {last}\nthe details are in {log.name}; please report it")
    return ExitCode.INTERNAL


if __name__ == "__main__":
    sys.exit(main())
