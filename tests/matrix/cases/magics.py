"""What IPython does beside Python: magics, `_` and `Out`, scripts, failing and asynchronous cells."""

from __future__ import annotations

from typing import Any

from case import Case
from kinds import QUICK


def ran(
    name: str,
    make: str | tuple[str, ...],
    *mutate: str,
    before: str = "data == []",
    after: str = "data == [1]",
    **options: Any,
) -> Case:
    """One cell that changes something; `before` and `after` are expressions."""
    cells = (make,) if isinstance(make, str) else make
    return Case(
        name, ("data = []", *cells), (QUICK, *mutate), f"assert {before}", f"assert {after}", **options
    )


SCRIPT = "import pathlib; pathlib.Path('{0}').write_text({1!r});"

CASES = (
    ran("_", "n = 1", "data", "_.append(1)"),
    ran("_ in an expression", "n = 1", "[data]", "_[0] += [1]"),
    ran("__", "n = 1", "data", "5", "__.append(1)"),
    ran("Out", "n = 1", "data", "Out[max(Out)].append(1)"),
    ran("_oh", "n = 1", "data", "list(_oh.values())[-1].append(1)"),
    ran("_ under another name", "n = 1", "data", "last = _", "last.append(1)"),
    ran("a name that was given to _", "n = 1", "[data]", "kept = [_]", "kept[0][0].append(1)"),
    ran("%time", "n = 1", "%time data.append(1)"),
    ran("%%time", "n = 1", "%%time\ndata.append(1)"),
    ran("%%time that binds", "n = 1", "%%time\nm = [2]\ndata.append(1)", after="data == [1] and m == [2]"),
    ran("%timeit", "n = 1", "%timeit -n1 -r1 data[:] = [1]"),
    ran("%%timeit with a set-up", "n = 1", "%%timeit -n1 -r1 d = data\nd[:] = [1]"),
    ran(
        "%timeit -o",
        "n = 1",
        "t = %timeit -o -q -n1 -r1 data[:] = [1]",
        "loops = t.loops",
        after="data == [1] and loops == 1",
    ),
    ran("%%capture", "n = 1", "%%capture\ndata.append(1)"),
    ran(
        "%%capture out",
        "n = 1",
        "%%capture out\nprint('x'); data.append(1)",
        after="data == [1] and str(out) == 'x\\n'",
    ),
    ran("%prun", "def f(): data.append(1)", "%prun -q f()"),
    ran(
        "%%bash --out",
        "n = 1",
        "%%bash --out x\necho one",
        "data.append(len(x.split()))",
        after="data == [1] and x == 'one\\n'",
    ),
    ran(
        "%%bash --out and --err",
        "n = 1",
        "%%bash --out o --err e\necho a; echo b >&2",
        before="'o' not in globals()",
        after="(o, e) == ('a\\n', 'b\\n')",
    ),
    ran(
        "%%sh --out over a variable",
        "x = [1]",
        "%%sh --out x\necho two",
        before="x == [1]",
        after="x == 'two\\n'",
    ),
    ran(
        "%%script --out",
        "n = 1",
        "%%script --out y cat\nthree",
        before="'y' not in globals()",
        after="y.strip() == 'three'",
    ),
    ran(
        "!cmd",
        "n = 1",
        "files = !echo a b",
        before="'files' not in globals()",
        after="list(files) == ['a b'] and files.n == 'a b'",
    ),
    ran(
        "!cmd with a variable", "word = 'w'", "got = !echo {word}", before="word == 'w'", after="got == ['w']"
    ),
    ran("%sx", "n = 1", "got = %sx echo a", before="'got' not in globals()", after="got == ['a']"),
    ran(
        "%run",
        SCRIPT.format("set.py", "made = [1]\ndef f(): return made\n"),
        "%run set.py",
        before="'made' not in globals()",
        after="made == [1] and f() is made",
    ),
    ran("%run -i", SCRIPT.format("add.py", "data.append(1)\n"), "%run -i add.py"),
    ran(
        "%run of a script with a class",
        SCRIPT.format("cls.py", "class A:\n    def f(self): return k\nk = 1\na = A()\n"),
        "%run cls.py",
        before="'a' not in globals()",
        after="a.f() == 1 and type(a) is A",
    ),
    ran(
        "a function of a script that was run",
        (SCRIPT.format("fun.py", "seen = []\ndef go(): seen.append(1)\n"), "%run fun.py"),
        "go()",
        before="seen == []",
        after="seen == [1]",
    ),
    ran(
        "%load_ext of a user's own",
        SCRIPT.format("own_ext.py", "def load_ipython_extension(ip): ip.user_ns['data'].append(1)\n")
        + "\nimport sys; sys.path.insert(0, str(pathlib.Path.cwd()))",
        "%load_ext own_ext",
        redo=False,
    ),
    ran("%store-like magics", "n = 1", "%alias_magic t2 time", "%t2 data.append(1)"),
    ran(
        "%macro",
        "n = 1",
        "data.append(1)",
        "%macro -q again 1-2",
        after="data == [1] and type(again).__name__ == 'Macro'",
        redo=False,
    ),
    ran(
        "%reset_selective",
        "gone = [1]",
        "%reset_selective -f ^gone$",
        before="gone == [1]",
        after="'gone' not in globals()",
    ),
    ran(
        "%reset",
        "other = [1]",
        "%reset -f -s",
        "data = [1]",
        before="other == [1] and data == []",
        after="data == [1] and 'other' not in globals()",
    ),
    ran("%xdel", "gone = [1]", "%xdel gone", before="gone == [1]", after="'gone' not in globals()"),
    ran(
        "%cd",
        "import os; os.makedirs('sub_cd', exist_ok=True); home = os.getcwd()",
        "%cd -q sub_cd",
        "data.append(1)",
        after="data == [1] and (__import__('os').getcwd().endswith('sub_cd'))",
        before="data == [] and __import__('os').getcwd() == home",
    ),
    ran("%pip and others that write nothing", "n = 1", "%who_ls", "%whos", "data.append(1)"),
    ran("%config and %matplotlib-less display", "n = 1", "%precision 3", "data.append(1)"),
    ran("%autocall", "def f(x): data.append(x)", "%autocall 2", "f 1", "%autocall 0"),
    ran("a comma call", "def f(*x): data.append(len(x))", ",f a"),
    ran("help", "def f(): 'doc'", "f?", "data.append(1)"),
    ran("%debug off, %xmode", "n = 1", "%xmode Plain", "data.append(1)"),
    ran(
        "%%writefile and import",
        "import sys, os; sys.path.insert(0, os.getcwd())",
        "%%writefile written_mod.py\nx = [1]",
        "import written_mod",
        "data.extend(written_mod.x)",
    ),
    ran("%%python3", "n = 1", "%%python3 --out o\nprint('one')", "data.append(len(o.split()))"),
    ran("await", "import asyncio", "data.append(await asyncio.sleep(0, 1))"),
    ran(
        "async for and with",
        "import asyncio\nasync def one(): yield 1",
        "async for i in one():\n    async with asyncio.Lock(): data.append(i)",
        after="data == [1] and i == 1",
    ),
    ran("a semicolon", "n = 1", "data.append(1);"),
    ran(
        "several statements, one fails",
        "n = 1",
        "# raises\ndata.append(1)\nm = [2]\nundefined\nnever = 1",
        after="data == [1] and m == [2] and 'never' not in globals()",
    ),
    ran("a syntax error", "n = 1", "# raises\ndata.append(5", "data.append(1)"),
    ran(
        "an import error",
        "n = 1",
        "# raises\nimport json\nimport no_such_module",
        "data.append(1)",
        after="data == [1] and json.loads('1') == 1",
    ),
    ran("sys.exit", "import sys", "# raises\ndata.append(1)\nsys.exit(3)"),
    ran("KeyboardInterrupt", "n = 1", "# raises\ndata.append(1)\nraise KeyboardInterrupt"),
    ran("a %%node", "n = 1", "%%node step\ndata.append(1)"),
    ran("a nested run_cell", "n = 1", "get_ipython().run_cell('data.append(1)');"),
    ran("run_line_magic", "n = 1", "get_ipython().run_line_magic('time', 'data.append(1)')"),
    ran(
        "get_ipython().push",
        "n = 1",
        "get_ipython().push({'pushed': [1]})",
        before="'pushed' not in globals()",
        after="pushed == [1]",
    ),
    ran("ex and ev", "n = 1", "get_ipython().ex('data.append(1)')"),
    ran("a display handle that is kept", "n = 1", "h = display('x', display_id=True)", "data.append(1)"),
    ran(
        "an interactive namespace in a function",
        "def f(): return get_ipython().user_ns",
        "f()['data'].append(1)",
    ),
    ran(
        "names that begin as IPython's do",
        "_x = [1]; _i5x = 2; _data = [3]",
        "_x.append(4); _data.append(5)",
        before="_x == [1] and _i5x == 2",
        after="_x == [1, 4] and _data == [3, 5]",
    ),
)
