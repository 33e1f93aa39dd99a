"""Names and values that a format takes for something else: they show as they are, and do nothing."""

import dataclasses
import json
import re
import subprocess
import warnings
from html.parser import HTMLParser
from xml.etree import ElementTree

import matplotlib
import pytest

from analysis import reserved
from analysis.arms import arm
from analysis.as_json import as_json, json_text
from analysis.conditions import condition_keys, conditions_table
from analysis.drawing import svg
from analysis.escaping import fenced, figure_text, markdown, shell
from analysis.figures import legend, nothing
from analysis.load import load
from analysis.page import render, view
from analysis.sections import SECTIONS, stability
from analysis.words import LONGEST, decimals, exact, printable, text
from harness.condition import Outcome
from harness.planning.parts import REGISTRIES, RESERVED
from harness.results.definition import written
from tests.folders import made_grid

ODD = {
    "formula": "$x$",
    "open formula": "$\\frac{$",
    "pipe": "a|b",
    "script": "<script>alert(1)</script>",
    "entity": "&lt;b&gt;",
    "backticks": "`rm -rf`",
    "fence": "```",
    "emphasis": "*a* **b** _c_ __d__ ~~e~~",
    "link": "[x](javascript:alert(1)) ![y][z]",
    "heading": "# x #",
    "backslashes": r"\n \\ \$",
    "newline": "a\nb\r\n\n# c",
    "control": "\x00\x07\x1b[31mred\x1b[0m\x85",
    "right to left": "\u202egnp.exe\u2066 \u05d0\u05d1",
    "separators": "a\u2028b\u2029c\u200bd\ufeffe",
    "emoji": "😀 👨\u200d👩\u200d👧 日本語",
    "not UTF-8": "caf\udce9",
    "lone surrogate": "\ud83d",
    "kilobytes": "x" * 5_000,
    "kilobytes that differ in the middle": "x" * 2_500 + "y" + "x" * 2_499,
    "words": "word " * 1_000,
    "underscore": "_private:Cell",
    "quotes": 'it\'s "quoted"',
    "template": "{{ 7 * 7 }} {% raw %} {x:g} %s",
    "empty": "",
    "blanks": "  a   b  ",
    "like a number": "1e3",
    "like nothing": "nan",
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Four conditions."""
    return made_grid(tmp_path_factory.mktemp("odd"), lambda *_: Outcome.STABLE, seeds=1, models=("rnn",))


def named(results, names: list[str]):
    """The results with these names wherever a user can name something; tables hold valid Unicode only."""
    own = [name.encode(errors="ignore").decode() for name in names]
    frames = []
    for frame in (results.conditions, results.trials):
        each = [own[number % 4] for number in range(len(frame))]
        frames.append(frame.assign(model=each, clip_rule=each, task=own[0], space=own[0], mode=each))
    definition = results.definitions[0] | {"name": own[0], "sources": dict(zip(own, own, strict=True))}
    options = {f"model {name}": {"mode": own} for name in own} | {"clip_rule x": {"mode": own}}
    record = {"argv": names, "definition": definition, "git_commit": names[1], "x": [{names[2]: names}]}
    return dataclasses.replace(
        results, conditions=frames[0], trials=frames[1], options=options, sources=([record],),
        definitions=(definition,), folders=(f"results/{names[3]}",),
    )  # fmt: skip


WORST = ["script", "pipe", "emphasis", "not UTF-8"]

REST = [name for name in ODD if name not in WORST and "\0" not in ODD[name]]

FOURS = [WORST, *(pytest.param(REST[i : i + 4], marks=pytest.mark.slow) for i in range(0, len(REST) - 3, 4))]
"""Names that share a page: to make one takes a second."""


@pytest.fixture(params=FOURS, ids=", ".join)
def four(request) -> list[str]:
    return [ODD[name] for name in request.param]


@pytest.fixture(params=ODD.values(), ids=ODD)
def odd(request) -> str:
    return request.param


def test_text_is_one_bounded_printable_line_and_tells_values_apart(odd):
    assert len(text(odd)) <= LONGEST
    assert text(odd).isprintable() or "\u200d" in odd
    assert printable(text(odd)) == text(odd)
    assert len({text(value) for value in ODD.values()}) == len(ODD)
    text(odd).encode()


def page(results, style: str) -> str:
    return render(results, [view(section, results) for section in SECTIONS], style)


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.said: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.said.append(data)


def test_html_has_the_tags_of_any_page_and_the_names_as_text(results, four):
    found, usual = (Page(page(named(results, names), "html")) for names in (four, ["a", "b", "c", "d"]))
    assert found.tags.count("script") == usual.tags.count("script") == 1
    assert set(found.tags) == set(usual.tags)
    said = "".join(found.said)
    assert not [sign for sign in said if printable(sign) != sign and sign != "\n"]
    for name in four:
        assert text(name.encode(errors="ignore").decode()).strip() in said


def test_markdown_has_the_columns_of_its_heads_in_every_row(results, four):
    content = page(named(results, four), "md").encode().decode()
    width = 0
    for line in content.splitlines():
        cells = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) if line.startswith("|") else 0
        assert width in (0, cells) or not cells
        width = cells
    assert "<script" not in re.sub(r"(?ms)^(````*)$.*?^\1$", "", content)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("max_norm 1 [0.1, 0.5]", "max_norm 1 [0.1, 0.5]"),
        ("_x_ *y* `z` $x$", r"\_x\_ \*y\* \`z\` \$x\$"),
        ("a|b", r"a\|b"),
        ("<b> &lt;", "&lt;b> &amp;lt;"),
        ("[x](y) ![x][y]", r"[x\](y) ![x\][y]"),
        ("a\n# b", r"a\\n\# b"),
    ],
)
def test_markdown_escapes_what_acts_and_leaves_the_rest(words, expected):
    assert markdown(words) == expected


def test_a_code_block_ends_where_it_should():
    lines = fenced(["a ``` b", "c\n````\n"]).splitlines()
    assert (lines[0], lines[-1]) == ("`````", "`````")
    assert len(lines) == 4


def test_json_is_valid_unicode_and_holds_names_whole(results, four):
    odd = named(results, four)
    found = json.loads(json_text(odd).encode())
    assert {row["model"] for row in found["p_stable"]} == set(odd.conditions["model"])
    assert found == as_json(odd)
    assert found["provenance"][0]["argv"][0] == four[0].encode(errors="backslashreplace").decode()


def test_figures_draw_the_names_as_text(results, four):
    with warnings.catch_warnings(action="error"):
        drawn = svg(stability.render(stability.table(named(results, four))))
    said = " ".join(ElementTree.fromstring(drawn).itertext())
    for name in four:
        for word in text(name.encode(errors="ignore").decode()).split()[:1]:
            assert word[:20] in said
    assert "<script" not in drawn


def test_no_series_is_left_out_of_a_legend():
    figure = nothing("")
    axis = figure.subplots()
    axis.plot([0], [0], label=figure_text("_mine:Rule", 40))
    legend(figure)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [" _mine:Rule"]


@pytest.mark.parametrize("text_of", ["$a$", "\\$", "a$", "$$", "\\$x\\$"])
def test_a_figure_shows_dollars_as_they_are(text_of):
    written, math = matplotlib.text.Text(text=figure_text(text_of, 40))._preprocess_math(
        figure_text(text_of, 40)
    )
    assert (written, math) == (text_of, False)


def test_a_shell_reads_a_command_back(odd):
    if "\0" in odd or "\ud83d" in odd:
        pytest.skip("no argument of a program holds it")
    line = shell(odd)
    assert printable(line) == line
    program = "import os, sys; sys.stdout.buffer.write(os.fsencode(sys.argv[1]))"
    script = f"LC_ALL=C.UTF-8 python3 -c '{program}' {line}"
    found = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    assert found == odd.encode(errors="surrogateescape")


@pytest.mark.parametrize(("one", "other"), [(1.0, 1.0000001), (0.1, 0.1 + 1e-12), (1e6, 1e6 + 1)])
def test_two_thresholds_are_never_one_arm(one, other):
    arms = {arm({"clip_rule": "norm", "max_norm": norm}, {}) for norm in (one, other)}
    assert len(arms) == 2
    assert exact(0.5) == "0.5"


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(-0.001, ".2f", "0.00"), (-0.001, "+.2f", "+0.00"), (float("nan"), ".2f", "-"), (None, ".1f", "-"),
     (0.25, "+.2f", "+0.25"), (float("inf"), ".2f", "inf")],
)  # fmt: skip
def test_no_number_is_a_negative_zero_or_nan(value, digits, expected):
    assert decimals(value, digits) == expected


@pytest.mark.parametrize("name", ["n", "arm", "grid"])
def test_an_option_named_like_a_column_keeps_its_values(tmp_path, name, monkeypatch):
    """As an option of a user's own model: it is written under its name and read as `option n`."""
    import harness.results.reader as reader

    read, read_conditions = reader.read, reader.read_conditions
    sizes = {False: 3, True: 7}

    def with_option(frame):
        return frame.assign(**{name: frame["length"].eq(9).map(sizes)})

    monkeypatch.setattr(
        reader,
        "read",
        lambda folder, table, *rest: (
            with_option(read(folder, table, *rest)) if table == "trials" else read(folder, table, *rest)
        ),
    )
    monkeypatch.setattr(reader, "read_conditions", lambda folder: with_option(read_conditions(folder)))
    plain = made_grid(tmp_path, lambda *_: Outcome.STABLE, seeds=2, models=("rnn",))
    definition = reader.read_definition(tmp_path / "x")
    definition["options"]["model rnn"][name] = [3, 7]
    (tmp_path / "x" / "space.json").write_bytes(written(definition))
    results = load(*plain.folders)
    assert condition_keys(results)[-2:] == [f"option {name}", "learning_rate"]
    table = conditions_table(results).frame
    assert sorted(table[f"option {name}"]) == [3, 3, 7, 7]
    assert (table["n"] == 2).all()
    assert [row["k"] for row in as_json(results)["p_stable"]] == [2] * 4
    assert "option" in page(results, "html")


def test_every_column_of_the_tables_is_reserved(results):
    """An option that has its name is set apart; built-in options have none of these names."""
    added = set()
    for section in SECTIONS:
        table = section.table(results)
        frames = [
            table.frame,
            section.readable(table),
            *filter(lambda f: hasattr(f, "columns"), vars(table).values()),
        ]
        for frame in frames if table.keys else []:
            added |= {name for name in frame.columns if name not in table.keys and name.isidentifier()}
    added |= set(conditions_table(results).frame.columns) - set(condition_keys(results))
    levels = {"chance", "baseline_loss", "solved_at", "drop_at", "recovered_at"}
    assert added - RESERVED - levels <= reserved.ADDED
    built_in = {
        option
        for registry in REGISTRIES.values()
        for name in registry.names()
        for option in registry.options(name)
    }
    assert not reserved.ADDED & (built_in | RESERVED)
