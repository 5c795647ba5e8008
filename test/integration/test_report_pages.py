"""The page of reports in a browser: nothing is cut off on a screen or on a phone."""

import json

import pytest

from mbrl_ros.console.verdict import Verdict
from mbrl_ros.console.web_page import markdown, meanings, numbers, pictures, web_page
from support.browser import opened
from support.needs import needs

BEYOND = """JSON.stringify([...document.querySelectorAll('body *')].filter(e => !e.closest('figure')
  && !e.closest('.wide') && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.tagName + ' ' + e.textContent.slice(0, 40)))"""

WIDE = "\n".join("| " + " | ".join([cell] * 12) + " |" for cell in ("a column", "---:", "12345678", "c" * 90))
# a table that is wider than the page scrolls, and no word of a head or of a name is broken
WIDE_SCROLLS = """(() => { const e = document.querySelector('.wide');
  return e.scrollWidth > e.clientWidth && getComputedStyle(e).overflowX == 'auto'; })()"""


@needs("a browser", "matplotlib", "websockets")
@pytest.mark.parametrize("width", (390, 1400))
def test_a_report_fits_its_width(tmp_path, width):
    from matplotlib.figure import Figure

    picture = tmp_path / "tracking.png"
    Figure(figsize=(11, 4)).savefig(picture)
    summary = {
        "supervisor": {"a_very_long_name_of_one_number_of_a_summary_without_a_space": -0.061234567},
        "bag": "b" * 90,
    }
    body = f"<p>{'word ' * 60}</p><pre>{'x' * 200}</pre>{pictures({'tracking': picture})}{numbers(summary)}"
    body += markdown(WIDE) + meanings({"a name of several words": "m" * 80})
    page = tmp_path / "report.html"
    page.write_text(web_page("demo", Verdict(True, "rest", 0.1, ""), "An arm " + "y" * 80, body))
    with opened(page.as_uri(), tmp_path / "browser") as tab:
        tab.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 700)
        tab.until(lambda: tab.value("innerWidth") == width and tab.value("document.images[0]?.complete"), "the page")
        assert json.loads(tab.value(BEYOND)) == []
        assert tab.value("document.images[0].getBoundingClientRect().width") >= min(
            700, width
        )  # readable, if need be by scrolling
        assert tab.value(WIDE_SCROLLS)
        assert tab.value("document.title").startswith("PASS")
