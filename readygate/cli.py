"""The `readygate` command: what may be asked, and the exit code of every way to end."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from readygate import __version__
from readygate.arguments import count, existing, folder, refuse_ours, seconds
from readygate.errors import ExitCode, ReadygateError, UsageError
from readygate.signals import ending_alike
from readygate.streams import lost, steady
from readygate.witness import EndedEarly, witnessed

# What a command needs is imported when it runs, so that `--help` answers at once.


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code that design and docs/exit-codes.md promise."""
    steady()
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] not in (["run"], ["watch"]):  # which alone run suites of the user's own to a verdict
        return _ended(words)
    try:
        return witnessed(lambda: _ended(words))
    except EndedEarly as error:
        _complain(str(error))
        return int(error.exit_code)


def _ended(words: list[str]) -> int:
    with ending_alike():
        try:
            return _heard(_called(words))
        except ReadygateError as error:
            _complain(str(error))
            return int(error.exit_code)
        except KeyboardInterrupt:
            _complain("interrupted")
            return int(ExitCode.INTERRUPTED)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                return _internal_error(traceback.format_exc())
            written = error.filename or "the results"
            _complain(f"no space is left to write {written}; make room, or name a folder with --out")
            return int(ExitCode.USAGE)
        except Exception:  # noqa: BLE001 - the last line of defence: never a traceback at the user
            return _internal_error(traceback.format_exc())


def _called(words: list[str]) -> int:
    try:
        Path.cwd()
    except OSError:
        raise UsageError("the current folder is gone, or may not be looked into; go to another one") from None
    cut = words.index("--") if "--" in words else len(words)
    try:
        arguments = _parser().parse_args(words[:cut])
    except SystemExit as ended:  # --help, or a mistake that argparse has told
        return int(ended.code or 0)
    arguments.pytest_args = tuple(words[cut + 1 :])
    if arguments.pytest_args and arguments.command is not _run:
        raise UsageError("only `readygate run` takes arguments for pytest after --")
    refuse_ours(arguments.pytest_args)
    command: Callable[[argparse.Namespace], int] = arguments.command
    return int(command(arguments))


def _heard(code: int) -> int:
    """What the command ends in where somebody may not have heard all that it said; then that is never GO."""
    error = lost()
    if error is None:
        return code
    if error.errno == errno.EPIPE:  # whoever read it has gone, as in `readygate plan | head`
        return code or int(ExitCode.INTERRUPTED)
    _complain(f"stdout can't be written to: {(error.strerror or 'unusable').lower()}; send it elsewhere")
    return code or int(ExitCode.USAGE)


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
    run.add_argument("--shard", metavar="K/N", help="look only at part K of N; see `readygate merge`")
    _add_target(run)
    run.add_argument("--update-baselines", action="store_true", help=argparse.SUPPRESS)
    run.add_argument("--wait", metavar="TIME", default="0s", help="look again until GO, for so long, e.g. 5m")
    run.usage = (
        "readygate run [PROFILE] [--inventory FILE] [--env ENV] [--out FOLDER]\n"
        "                     [--target ENTRY=PLACE] [--shard K/N] [--wait TIME] [-- PYTEST_ARG ...]"
    )

    watch = _command(commands, "watch", _watch, "look again and again, as after a switch of traffic")
    watch.add_argument("profile", nargs="?", default="release", help="report profile in reports/ (default: release)")
    watch.add_argument("--for", dest="lasting", metavar="TIME", default="5m", help="how long (default: 5m)")
    watch.add_argument("--every", metavar="TIME", default="10s", help="from one look to the next (default: 10s)")
    watch.add_argument(
        "--tolerate", metavar="N", type=count, default=0, help="how many looks may be no GO (default: 0)"
    )
    _add_inventory(watch)
    _add_target(watch)
    _add_out(watch)

    merge = _command(commands, "merge", _merge, "bring the results of several runs or shards to one verdict")
    merge.add_argument("results", nargs="+", type=Path, help="results.json of each, or its folder")
    merge.add_argument("--profile", help="judge by this profile instead of the runs' own")
    _add_root(merge)
    _add_out(merge)

    demo = _command(commands, "demo", _demo, "gate the embedded demo service; break it and see")
    demo.add_argument("--break", dest="fault", metavar="FAULT", help="plant one fault (see --list)")
    demo.add_argument("--list", action="store_true", help="list the faults that can be planted")
    _add_out(demo)

    drill = _command(commands, "drill", _drill, "restore a backup into a scratch server, and say what came of it")
    drill.add_argument("backup", nargs="?", metavar="NAME", help="left out: list what each would do")
    _add_inventory(drill)
    _add_out(drill)

    baselines = _command(
        commands, "baselines", _baselines, "ask the cases with known answers; write what is answered"
    )
    baselines.add_argument(
        "cases", metavar="CASE", nargs="*", help="only these, site:endpoint:case or a glob (default: all)"
    )
    baselines.add_argument("--update", action="store_true", help="write the answers into the inventory's files")
    baselines.add_argument("--even-in-ci", action="store_true", help="write them even where CI is set")
    _add_inventory(baselines)
    _add_target(baselines)

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
    _add_root(report)

    history = _command(commands, "history", _history, "list the runs that were kept; what flaps; time to mend")
    history.add_argument("--profile", help="only runs of this profile")
    history.add_argument("--env", help="only runs of this environment")
    history.add_argument("--json", action="store_true", help="print JSON instead of a table")
    _add_root(history)

    diff = _command(commands, "diff", _diff, "what changed from one run to another; exits 1 if something broke")
    diff.add_argument("before", help="results.json, its folder, or the beginning of an id of `readygate history`")
    diff.add_argument("after", help="the same, of the later run or the other environment")
    _add_root(diff)

    waive = _command(commands, "waive", _waive, "write a waiver into waivers.yml, which somebody answers for")
    waive.add_argument("check", help="the id of a check, or a glob such as 'tls.*'")
    waive.add_argument("target", nargs="?", default="*", help="the target, or a glob (default: every target)")
    waive.add_argument("--reason", required=True, help="why the release may go out all the same")
    waive.add_argument("--owner", required=True, help="who answers for it and mends it")
    until = waive.add_mutually_exclusive_group(required=True)
    until.add_argument("--expires", metavar="DAY", help="its last day in UTC, e.g. 2026-03-31")
    until.add_argument("--for", dest="lasting", metavar="TIME", help="how long from today, e.g. 14d")
    waive.add_argument("--approver", default="", help="who agreed")
    waive.add_argument("--ticket", default="", help="where the mending is tracked")
    waive.add_argument("--env", help="the only environment that it is for (default: every one)")
    waive.add_argument("--covers-errors", action="store_true", help="also excuse that the check could not look")
    _add_inventory_file(waive)

    attest = _command(commands, "attest", _attest, "write into attestations.yml what somebody has seen to just now")
    attest.add_argument("name", help="as the inventory has it under attestations")
    attest.add_argument("--by", required=True, help="who says so")
    attest.add_argument("--evidence", required=True, help="what shows it: a link, or a sentence")
    _add_inventory_file(attest)

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
    _add_inventory_file(parser)
    parser.add_argument("--env", help="environment whose overlay is merged over the inventory")


def _add_inventory_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--inventory", type=Path, default=Path("inventory.yml"), help="default: inventory.yml")


def _add_target(parser: argparse.ArgumentParser) -> None:
    explanation = "look for an entry elsewhere: sites.api=https://green.example.com, or sites.api=10.0.0.7:8443"
    parser.add_argument("--target", metavar="ENTRY=PLACE", action="append", default=[], help=explanation)


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root",
        type=existing,
        default=Path.cwd(),
        help="folder of the inventory, reports/ and waivers.yml (default: .)",
    )


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=folder, default=Path("readygate-out"), help="default: readygate-out")


def _run(arguments: argparse.Namespace) -> int:
    from readygate.hosts import connect_early
    from readygate.inventory import load
    from readygate.inventory.pointing import pointed_to

    if arguments.update_baselines:
        raise UsageError(
            "a run that writes its own answers would be no gate; run `readygate baselines --update` instead"
        )
    wait_s = seconds(arguments.wait)
    alone = not (arguments.pytest_args or wait_s)  # pytest's workers and later looks connect by themselves
    with pointed_to(arguments.target):
        loaded = load(arguments.inventory, arguments.env, os.environ, meanwhile=connect_early) if alone else None
        from readygate.running import run

        return run(
            arguments.inventory,
            arguments.env,
            arguments.profile,
            arguments.out,
            extra=arguments.pytest_args,
            shard=arguments.shard,
            wait_s=wait_s,
            loaded=loaded,
        )


def _watch(arguments: argparse.Namespace) -> int:
    from readygate.inventory.pointing import pointed_to
    from readygate.running import watch

    with pointed_to(arguments.target):
        return watch(
            arguments.inventory,
            arguments.env,
            arguments.profile,
            arguments.out,
            lasting_s=seconds(arguments.lasting),
            every_s=seconds(arguments.every),
            tolerate=arguments.tolerate,
        )


def _merge(arguments: argparse.Namespace) -> int:
    from readygate.running import merge

    return merge(arguments.results, arguments.root, arguments.profile, arguments.out)


def _demo(arguments: argparse.Namespace) -> int:
    from readygate.demo.run import list_faults, run_demo

    return list_faults() if arguments.list else run_demo(arguments.fault, arguments.out)


def _drill(arguments: argparse.Namespace) -> int:
    from readygate.drilling import drill, list_drills

    if arguments.backup is None:
        return list_drills(arguments.inventory, arguments.env)
    return drill(arguments.inventory, arguments.env, arguments.backup, arguments.out)


def _baselines(arguments: argparse.Namespace) -> int:
    from readygate.baselines import update_baselines
    from readygate.inventory.pointing import pointed_to

    with pointed_to(arguments.target):
        return update_baselines(
            arguments.inventory,
            arguments.env,
            arguments.cases,
            writes=arguments.update,
            in_ci=arguments.even_in_ci,
        )


def _plan(arguments: argparse.Namespace) -> int:
    from readygate.planning import print_plan

    return print_plan(arguments.inventory, arguments.env, as_json=arguments.json)


def _lint(arguments: argparse.Namespace) -> int:
    from readygate.inventory import load

    inventory = load(arguments.inventory, arguments.env, os.environ)
    where = f" in environment {inventory.environment}" if inventory.environment else ""
    count = len(inventory.leaves)
    print(f"{arguments.inventory}: {count} expectation{'s' * (count != 1)}{where}, all well-formed")
    if others := [name for name in inventory.environments if name != inventory.environment]:
        print(f"not merged, so not checked: {', '.join(others)}; see --env")
    return ExitCode.GO


def _report(arguments: argparse.Namespace) -> int:
    from readygate.running import redraw

    return redraw(arguments.results, arguments.root, arguments.profile, arguments.language)


def _history(arguments: argparse.Namespace) -> int:
    from readygate.looking_back import print_history

    return print_history(arguments.root, arguments.profile, arguments.env, as_data=arguments.json)


def _diff(arguments: argparse.Namespace) -> int:
    from readygate.looking_back import print_diff

    return print_diff(arguments.root, arguments.before, arguments.after)


def _waive(arguments: argparse.Namespace) -> int:
    from readygate.excusing import write_waiver

    return write_waiver(
        arguments.inventory,
        arguments.check,
        arguments.target,
        reason=arguments.reason,
        owner=arguments.owner,
        expires=arguments.expires,
        lasting=arguments.lasting,
        approver=arguments.approver,
        ticket=arguments.ticket,
        environment=arguments.env,
        covers_errors=arguments.covers_errors,
    )


def _attest(arguments: argparse.Namespace) -> int:
    from readygate.excusing import write_attestation

    return write_attestation(arguments.inventory, arguments.name, by=arguments.by, evidence=arguments.evidence)


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

    whole = REDACTOR.redact(f"readygate {__version__}, Python {sys.version}\n\n{details}")
    last = details.strip().splitlines()[-1]
    try:
        with tempfile.NamedTemporaryFile("w", prefix="readygate-", suffix=".log", delete=False) as log:
            log.write(whole)
        where = f"the details are in {log.name}"
    except OSError:
        where = whole
    _complain(f"readygate: internal error, a bug of ours: {last}\n{where}; please report it")
    return ExitCode.INTERNAL


if __name__ == "__main__":
    sys.exit(main())
