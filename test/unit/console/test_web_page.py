"""Parts of the page of reports: tables of Markdown, pictures and meanings; texts of others are escaped."""

from mbrl_ros.console.web_page import markdown, meanings, pictures


def test_tables_and_lines_of_markdown_are_html_and_escaped():
    text = "| a<b | n |\n|---|---:|\n| x \\| `y` | 1 |\n| " + "long " * 9 + "| 2 |\n"
    text += "after & it\n\n- an entry\n```\n| a  <b\n```\n"
    found = markdown(text)
    assert found.count("<table>") == found.count("</table>") == 1
    assert found.index("<table>") < found.index("<p>after &amp; it</p>") < found.index("<p>an entry</p>")
    assert '<th class="">a&lt;b</th><th class="number">n</th>' in found
    assert '<td class=" short">x | y</td><td class="number short">1</td>' in found
    assert found.endswith("<pre>| a  &lt;b\n</pre>")
    assert f'<td class="">{("long " * 9).strip()}</td>' in found and "---" not in found


def test_two_tables_one_after_the_other_are_two():
    table = "| a | b |\n|---|---|\n| 1 | 2 |"
    assert markdown(f"{table}\n\n{table}").count("<table>") == 2
    assert markdown(f"{table}\nbetween\n{table}").count("<table>") == 2


def test_a_picture_is_a_file_or_its_content(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"abc")
    assert pictures({"x<": file}) == pictures({"x<": b"abc"}) and "YWJj" in pictures({"x<": b"abc"})
    assert "x&lt;" in pictures({"x<": file})


def test_meanings_are_escaped():
    assert "a&lt;b" in meanings({"a<b": "1 < 2"}) and "1 &lt; 2" in meanings({"a<b": "1 < 2"})
