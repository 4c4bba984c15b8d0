"""The standard library's classes in that list, and libraries that fit nowhere else."""

from __future__ import annotations

from dataclasses import replace

from case import Case

STANDARD_CASES = (
    Case(
        "pickle: a pickler at work, and what it wrote",
        make=(
            "import io, pickle",
            "b = io.BytesIO(); packed = bytearray(pickle.dumps([1, {'a': 2}]))",
            "n = b.write(packed)",
        ),
        mutate=("packed += b'more'; n = b.write(b'!')",),
        before="""
            assert pickle.loads(packed) == [1, {'a': 2}] and b.tell() == len(packed)
            assert b.getvalue() == packed
        """,
        after="""
            assert packed.endswith(b'more') and b.getvalue().endswith(b'.!')
            assert b.tell() == len(b.getvalue())
        """,
    ),
    Case(
        "json: an encoder of the notebook",
        make=(
            "import json",
            """
            class Encoder(json.JSONEncoder):
                def default(self, o): return sorted(o) if isinstance(o, set) else super().default(o)
            """,
            'e = Encoder(sort_keys=True); doc = json.loads(\'{"a": [1, {"b": null}]}\')',
        ),
        mutate=("doc['a'][1]['b'] = {3, 1}; e.item_separator = ';'",),
        before='assert e.encode(doc) == \'{"a": [1, {"b": null}]}\' and type(e) is Encoder',
        after='assert e.encode(doc) == \'{"a": [1;{"b": [1;3]}]}\'',
    ),
    Case(
        "itertools that are half way",
        make=(
            "import itertools",
            "c = itertools.count(5); z = [0]; got = [next(c)]; grown = itertools.accumulate([1, 2, 3])",
        ),
        mutate=("got.append(next(c)); z.append(next(grown))",),
        before="import copy\nassert got == [5] and next(copy.copy(c)) == 6 and z == [0]",
        after="""
            import copy
            assert got == [5, 6] and next(copy.copy(c)) == 7 and z == [0, 1]
            assert next(copy.deepcopy(grown)) == 3
        """,
    ),
    Case(
        "hashlib: a digest that is fed on",
        make=("import hashlib", "h = hashlib.sha256(b'a'); found = h.hexdigest()"),
        mutate=("h.update(b'b'); found = h.hexdigest()",),
        before="assert found == hashlib.sha256(b'a').hexdigest()",
        after="assert found == hashlib.sha256(b'ab').hexdigest()",
        reported=("h",),
        redo=False,
    ),
    Case(
        "copy: deep and shallow ones of what is changed",
        make=("import copy", "a = {'k': [1]}; shallow, deep = copy.copy(a), copy.deepcopy(a)"),
        mutate=("a['k'].append(2)",),
        before="assert shallow['k'] is a['k'] and deep['k'] is not a['k'] and deep == a",
        after="assert shallow['k'] is a['k'] == [1, 2] and deep == {'k': [1]}",
        keep_id=("deep",),
    ),
    Case(
        "ast: a tree that is rewritten, and a visitor",
        make=(
            "import ast",
            """
            class Names(ast.NodeVisitor):
                def __init__(self): self.found = []
                def visit_Name(self, node): self.found.append(node)
            """,
            "tree = ast.parse('x + y'); v = Names()",
        ),
        mutate=("v.visit(tree); v.found[0].id = 'z'",),
        before="assert ast.unparse(tree) == 'x + y' and v.found == []",
        after="assert ast.unparse(tree) == 'z + y' and v.found[0] is tree.body[0].value.left",
    ),
    Case(
        "dataclasses of the notebook",
        make=(
            "import dataclasses",
            """
            @dataclasses.dataclass(slots=True)
            class P:
                x: int
                tags: list = dataclasses.field(default_factory=list)
            """,
            "p = P(1); q = dataclasses.replace(p, x=2)",
        ),
        mutate=("p.tags.append('a'); q.x += 1",),
        before="assert p == P(1) and q.tags is p.tags and type(p) is P",
        after="""
            assert p == P(1, ['a']) and q == P(3, ['a']) and q.tags is p.tags
            assert [f.name for f in dataclasses.fields(P)] == ['x', 'tags']
        """,
    ),
    Case(
        "uuid.UUID as keys",
        make=("import uuid", "u = uuid.UUID(int=5); rows = {u: [1]}"),
        mutate=("rows[u].append(2); u = uuid.UUID(int=6)",),
        before="assert rows == {uuid.UUID(int=5): [1]} and u.int == 5 and next(iter(rows)) == u",
        after="assert rows[uuid.UUID(int=5)] == [1, 2] and u.int == 6",
    ),
    Case(
        "urllib.request.Request",
        make=("from urllib.request import Request", "r = Request('http://localhost/a', headers={'A': 'b'})"),
        mutate=("r.add_header('Accept', 'text/plain'); r.data = b'body'; r.full_url = 'http://localhost/c'",),
        before="assert r.selector == '/a' and r.header_items() == [('A', 'b')] and r.get_method() == 'GET'",
        after="""
            assert r.selector == '/c' and r.get_header('Accept') == 'text/plain'
            assert r.get_method() == 'POST'
        """,
    ),
    Case(
        "datetime.timedelta and datetime.time, with a zone",
        make=(
            "import datetime as dt, zoneinfo",
            """
                spans = [dt.timedelta(hours=1)]
                at = dt.time(5, tzinfo=zoneinfo.ZoneInfo('UTC'))
                when = {at: spans}
            """,
        ),
        mutate=("spans[0] += dt.timedelta(1); at = at.replace(hour=6)",),
        before="""
            assert spans == [dt.timedelta(hours=1)] and when[at] is spans
            assert at.tzinfo is zoneinfo.ZoneInfo('UTC')
        """,
        after="""
            assert spans == [dt.timedelta(1, 3600)] and at.hour == 6 and when[at.replace(hour=5)] is spans
        """,
    ),
    Case(
        "random.Random goes on where it was",
        make=("import random", "r = random.Random(3); rolls = [r.random()]; choose = r.choice"),
        mutate=("rolls.append(r.random()); rolls.append(choose(range(100)))",),
        before="""
            twin = random.Random(3)
            assert rolls == [twin.random()] and r.getstate() == twin.getstate() and choose.__self__ is r
        """,
        after="""
            twin = random.Random(3)
            assert rolls == [twin.random(), twin.random(), twin.choice(range(100))]
            assert choose.__self__ is r
        """,
    ),
    Case(
        "re.Pattern, compiled and used in a table",
        make=("import re", "p = re.compile('a+', re.I); table = {p: [0]}"),
        mutate=("table[p][0] += len(p.findall('aaAbA')); p = re.compile('b')",),
        before="assert p.pattern == 'a+' and p.flags & re.I and table[p] == [0]",
        after="assert p.pattern == 'b' and table[re.compile('a+', re.I)] == [2]",
    ),
    Case(
        "pathlib.PosixPath",
        make=("from pathlib import Path", "p = Path('case.txt'); n = p.write_text('x'); paths = [p]"),
        mutate=("p = p.with_suffix('.md'); paths.append(p)",),
        before="assert paths == [Path('case.txt')] and paths[0] == p and p.read_text() == 'x'",
        after="assert paths[1] == p and p.suffix == '.md' and paths[0].exists()",
    ),
    Case(
        "typing: generic classes and aliases of the notebook",
        make=(
            "from typing import Generic, NamedTuple, TypedDict, TypeVar, get_type_hints",
            "T = TypeVar('T')",
            """
            class Box(Generic[T]):
                def __init__(self, v: T) -> None: self.v = v
            """,
            "class Row(NamedTuple):\n    n: int\n    more: list = []",
            "class Doc(TypedDict):\n    name: str",
            """
                b: Box[list[int]] = Box[list[int]]([1])
                alias = Box[T] | None
                row = Row(1, b.v)
                doc: Doc = {'name': 'a'}
            """,
        ),
        mutate=("b.v.append(2); doc['name'] = 'b'",),
        before="""
            assert b.v == [1] and row.more is b.v and type(b) is Box
            assert alias.__args__[0].__parameters__ == (T,) and b.__orig_class__ == Box[list[int]]
            assert get_type_hints(Doc) == {'name': str}
        """,
        after="assert b.v == [1, 2] and row.more is b.v and doc == {'name': 'b'} and isinstance(row, Row)",
    ),
    Case(
        "dill: what it packed, and its settings",
        make=("import dill", "def f(v): return v + 1", "packed = dill.dumps(f); kept = {'f': f}"),
        mutate=("kept['g'] = dill.loads(packed); packed = dill.dumps(kept['g'], recurse=True)",),
        before="assert dill.loads(packed)(1) == 2 and kept == {'f': f}",
        after="assert kept['g'](1) == 2 and dill.loads(packed)(5) == 6 and kept['f'] is f",
        needs=("dill",),
    ),
)

OTHER_CASES = (
    Case(
        "arrow.arrow.Arrow",
        make=(
            "import arrow",
            "a = arrow.get(2026, 1, 1); span = a.span('day'); f = arrow.parser.DateTimeParser()",
        ),
        mutate=("a = a.shift(days=1).to('Europe/Paris'); f.note = 'mine'",),
        before="""
            assert a.isoformat() == '2026-01-01T00:00:00+00:00' and span[0] == a and not hasattr(f, 'note')
        """,
        after="""
            assert a.isoformat() == '2026-01-02T01:00:00+01:00' and f.note == 'mine'
            assert f.parse_iso('2026-01-01').day == 1
        """,
        needs=("arrow",),
    ),
    Case(
        "ipywidgets, with a callback of the notebook's",
        make=(
            "import ipywidgets as w",
            "seen = []\ndef on(change): seen.append(change['new'])",
            "s = w.IntSlider(3, description='n'); box = w.VBox([s]); s.observe(on, 'value')",
        ),
        mutate=("s.value = 7; s.layout.width = '50%'",),
        before="assert s.value == 3 and box.children == (s,) and box.children[0] is s and seen == []",
        after="assert s.value == 7 and seen == [7] and s.layout.width == '50%' and box.children[0] is s",
        needs=("ipywidgets",),
    ),
)

CASES = (*STANDARD_CASES, *(replace(case, long=True) for case in OTHER_CASES))
