"""The `mbrl` command.

Every other module here is a subcommand, named like its file. It defines

    HELP: str                        one literal line, shown by `mbrl --help`
    add_arguments(parser) -> None    its options
    run(args) -> int                 the exit code; a MbrlError becomes one line and exit code 2

`fit_prior.py` is `mbrl fit-prior`; a file whose first word is in GROUPS is nested: `bench_planner.py` is `mbrl bench
planner`. A module is imported only when its subcommand runs, so that other commands do not pay for its imports.
"""

NOT_COMMANDS = ("environment", "main")
GROUPS = {
    "bench": "measure the planner, a tick, the node, the node under faults, or the controller on many arms",
    "config": "show, validate or compare files of settings, or print their JSON Schema for an editor",
}
