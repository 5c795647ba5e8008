"""An exception is reported once for its kind and line, and counted always."""

from collections import Counter

from mbrl_ros.runtime.error_report import ErrorReport


def test_every_line_that_fails_is_reported_once_and_every_failure_is_counted():
    events, said = Counter(), []
    report = ErrorReport(events, lambda level, text: said.append((level, text)))

    def fail(how):
        if how == "index":
            return [][1]
        if how == "division":
            return 1 / 0
        return {}[how]

    for how in ("index", "division", "index", "other", "division", "another"):
        try:
            fail(how)
        except (LookupError, ZeroDivisionError):
            report("controller errors")
    assert events == {"controller errors": 6}
    kinds = [text.strip().splitlines()[-1].partition(":")[0] for _, text in said]
    assert kinds == ["IndexError", "ZeroDivisionError", "KeyError"]  # the two KeyErrors are of one line
    assert all(level == "error" and text.startswith("controller errors") for level, text in said)
