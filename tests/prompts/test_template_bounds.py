"""A template reads its values and nothing else, and ends after a bounded time and with a bounded text."""

from __future__ import annotations

import resource
import time

import pytest

from stellwerk.errors import UserError
from stellwerk.llm.prompts import read, render


def one(text: str) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(UserError) as error:
        read(text, "prompts/p.prompty")
    assert "\n" not in str(error.value)
    return str(error.value)


ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ x.__class__ }}",
    "{{ x|attr('__class__') }}",
    "{{ self }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__ }}",
    "{{ namespace() }}",
    "{{ joiner() }}",
    "{{ x.format(x) }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ x|map(attribute='__class__') }}",
    "{% include 'x' %}",
    "{% import 'os' as os %}",
    "{% from 'x' import y %}",
    "{% extends 'x' %}",
    "{% block a %}{% endblock %}",
    "{% macro m() %}{% endmacro %}",
    "{% call x() %}{% endcall %}",
    "{% set x = 1 %}",
    "{% filter upper %}x{% endfilter %}",
    "{% with a = 1 %}{% endwith %}",
    "{% do x.append(1) %}",
    "{% autoescape false %}x{% endautoescape %}",
    "{{ loop.__class__ }}",
    "{% for a in x recursive %}{{ loop(a) }}{% endfor %}",
    "{{ x() }}",
    "{{ x.y() }}",
    "{% for i in x %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{{ x|pprint }}",
    "{{ x|xmlattr }}",
    "{{ x|format(x) }}",
    "{{ {}.items() }}",
    "{{ _x }}",
    "{{ caller() }}",
    "{{ x is filter('a') }}",
    "{{ x is callable }}",
    "{{ x|urlize }}",
    "{{ x|random }}",
    "{{ x|default(*x) }}",
    "{{ debug }}{% debug %}",
    "{{ x|groupby('a') }}",
]

BOMBS = [
    "{{ 'a' * 10**9 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 10**10**10 }}",
    "{{ [0] * 10**9 }}",
    "{{ 9**999999 }}",
    "{{ 1 // 0 }}",
    "{{ 1 % 0 }}",
    "{{ '%999999999d' % 1 }}",
    "{% for a in range(10**9) %}{% for b in range(10**9) %}{% endfor %}{% endfor %}",
    "{{ range(10**9)|list }}",
    "{{ 'a'|center(10**9) }}",
    "{{ 'a'|indent(10**9) }}",
    "{{ " + "(" * 3000 + "x" + ")" * 3000 + " }}",
    "{{ x" + "|upper" * 30000 + " }}",
    "{{ " + "x + " * 5000 + "x }}",
    "{{ " + "not " * 5000 + "x }}",
    "{{ " + "-" * 5000 + "1 }}",
    "{% if x %}" * 500 + "{% endif %}" * 500,
    "{% for a in x %}" * 30 + "{{ a }}" + "{% endfor %}" * 30,
    "{{ 1" + "0" * 5000 + " }}",
    "{{ " + "[" * 2000 + "]" * 2000 + " }}",
    "{{ x" + "[0]" * 5000 + " }}",
    "{{ x" + ".a" * 5000 + " }}",
    "x" * 600_000,
    "{{ lipsum(n=10**6) }}",
    "{{ " + "x ~ " * 30000 + "x }}",
    "{{ 1 if " * 2000 + "x" + " }}",
    "{{ x == " * 1000,
    "{" * 400_000,
    "{{" * 100_000,
    "{%" * 100_000,
    "{# " * 100_000,
]


@pytest.mark.parametrize("template", ESCAPES, ids=range(len(ESCAPES)))
def test_no_template_gets_out(template: str) -> None:
    assert one(f"user:\n{{{{ x }}}}{template}").startswith("prompts/p.prompty, line 2: ")


@pytest.mark.parametrize("template", BOMBS, ids=range(len(BOMBS)))
def test_a_template_that_would_eat_the_machine_is_refused_before_it_runs(template: str) -> None:
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    assert len(one(f"user:\n{template}")) < 700
    assert time.process_time() - started < 4  # two seconds are allowed, and a shared core counts more
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # KiB


LOOPS = {
    "nested": "{% for a in l %}{% for b in l %}{% for c in l %}{% endfor %}{% endfor %}{% endfor %}",
    "much": "{% for a in l %}{{ t }}{% endfor %}",
    "joined": "{{ l|join(t) }}",
    "replaced": "{{ t|replace('a', t) }}",
    "side by side": "{% for a in l %}{% if (" + " ~ ".join(["t"] * 40) + ") == a %}{% endif %}{% endfor %}",
    "slow filters": "{% for a in l %}{% if t|upper|lower|upper|lower == a %}x{% endif %}{% endfor %}",
    "json": "{% for a in l %}{{ l|json }}{% endfor %}",
    "sorted": "{% for a in l %}{% for b in l|sort %}{% endfor %}{% endfor %}",
}


@pytest.mark.parametrize("template", LOOPS.values(), ids=LOOPS)
def test_values_cannot_make_a_template_eat_the_machine(template: str) -> None:
    prompt = read(f"user:\n{template}\n{{{{ l|length }}}}{{{{ t|length }}}}", "p.prompty")
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UserError, match=r"message 1 \(user\): the template cannot be rendered, for it") as error:
        render(prompt, {"l": [str(i) for i in range(20_000)], "t": "a" * 300_000})
    assert "\n" not in str(error.value)
    assert time.process_time() - started < 7
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # KiB


def test_a_field_is_a_name_in_a_group_and_never_an_attribute() -> None:
    prompt = read("user:\n{{ x.items }}{{ x.keys }}{{ x.name }}", "p.prompty")
    assert render(prompt, {"x": {"items": "a", "keys": "b", "name": "c"}})[0].content == "abc"
    with pytest.raises(UserError, match="uses a field that its value does not have") as error:
        render(prompt, {"x": {"geheim": 1}})
    assert "geheim" not in str(error.value)
    maybe = read("user:\n{{ x.a|default('-') }}{% if x.b is defined %}b{% endif %}", "p.prompty")
    assert render(maybe, {"x": {}})[0].content == "-"


@pytest.mark.parametrize("name", ["__class__", "__init__", "upper", "format", "__len__", "mro"])
@pytest.mark.parametrize("value", ["text", 1, 1.5, True, [1], {"a": 1}])
def test_a_name_that_comes_with_the_values_reaches_nothing_either(name: str, value: object) -> None:
    prompt = read("user:\n{{ x[k] }}", "p.prompty")
    with pytest.raises(UserError, match="uses a field that its value does not have"):
        render(prompt, {"x": value, "k": name})


def test_no_global_is_there_but_the_inputs() -> None:
    for name in ("config", "request", "range", "dict", "lipsum", "cycler", "joiner", "namespace", "g", "os"):
        prompt = read(f"user:\n{{{{ {name} }}}}", "p.prompty")
        assert [i.name for i in prompt.inputs] == [name]
        assert render(prompt, {name: "value"})[0].content == "value"
