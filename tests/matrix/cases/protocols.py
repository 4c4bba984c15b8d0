"""Changes by special methods, descriptors and metaclasses: each appends 1 to `data`."""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from kinds import appends

MINE = """
    import pathlib, sys
    pathlib.Path('{name}.py').write_text('held = None\\ndef add(x): held.append(x)\\n')
    sys.path.insert(0, str(pathlib.Path.cwd()))
    import {name}
    {name}.held = data
"""


CASES = (
    appends("a property", "class B:\n    @property\n    def x(self): data.append(1)\nb = B()", "b.x"),
    appends(
        "a property's setter",
        "class B:\n    @property\n    def x(self): pass\n    @x.setter\n    def x(self, v): data.append(v)\nb = B()",
        "b.x = 1",
    ),
    appends(
        "a descriptor",
        "class D:\n    def __get__(self, o, t): data.append(1)\nclass B: x = D()\nb = B()",
        "b.x",
    ),
    appends(
        "a descriptor's __set__",
        "class D:\n    def __set__(self, o, v): data.append(v)\nclass B: x = D()\nb = B()",
        "b.x = 1",
    ),
    appends("__setattr__", "class B:\n    def __setattr__(self, n, v): data.append(v)\nb = B()", "b.x = 1"),
    appends(
        "__getattr__",
        "class B:\n    def __getattr__(self, n):\n        if n == 'x': data.append(1)\n        raise AttributeError(n)\nb = B()",
        "hasattr(b, 'x')",
    ),
    appends("__call__", "class B:\n    def __call__(self): data.append(1)\nb = B()", "b()"),
    appends("__getitem__", "class B:\n    def __getitem__(self, k): data.append(k)\nb = B()", "b[1]"),
    appends("__setitem__", "class B:\n    def __setitem__(self, k, v): data.append(v)\nb = B()", "b[0] = 1"),
    appends(
        "__iadd__", "class B:\n    def __iadd__(self, v): data.append(v); return self\nb = B()", "b += 1"
    ),
    appends("__add__", "class B:\n    def __add__(self, v): data.append(v)\nb = B()", "b + 1;"),
    appends(
        "__eq__",
        "class B:\n    def __eq__(self, o): data.append(1); return True\n    __hash__ = None\nb = B()",
        "quick = b == 2",
    ),
    appends(
        "__len__", "class B:\n    def __len__(self): data.append(1); return 3\nb = B()", "quick = len(b)"
    ),
    appends(
        "__enter__",
        "class B:\n    def __enter__(self): data.append(1)\n    def __exit__(self, *a): pass\nb = B()",
        "with b: pass",
    ),
    appends(
        "__exit__",
        "class B:\n    def __enter__(self): pass\n    def __exit__(self, *a): data.append(1)\nb = B()",
        "with b: pass",
    ),
    appends(
        "__iter__",
        "class B:\n    def __iter__(self): data.append(1); return iter(())\nb = B()",
        "for i in b: pass",
    ),
    appends(
        "__contains__",
        "class B:\n    def __contains__(self, v): data.append(v); return True\nb = B()",
        "quick = 1 in b",
    ),
    appends(
        "__repr__ as the cell's result",
        "class B:\n    n = 0\n    def __repr__(self): data[:] = [1]; return 'B'\nb = B()",
        "b",
    ),
    appends(
        "__format__",
        "class B:\n    def __format__(self, s): data.append(1); return ''\nb = B()",
        "quick = f'{b}'",
    ),
    appends(
        "__bool__",
        "class B:\n    def __bool__(self): data.append(1); return True\nb = B()",
        "quick = 2 if b else 3",
    ),
    appends(
        "__init_subclass__", "class A:\n    def __init_subclass__(cls): data.append(1)", "class B(A): pass"
    ),
    appends(
        "__set_name__",
        "class D:\n    def __set_name__(self, o, n): data.append(1)\nd = D()",
        "class B: x = d",
    ),
    appends("__class_getitem__", "class A:\n    def __class_getitem__(cls, k): data.append(k)", "A[1]"),
    appends("__new__", "class A:\n    def __new__(cls): data.append(1); return object.__new__(cls)", "A()"),
    appends("__del__", "class A:\n    def __del__(self): data.append(1)", "_x = A(); del _x", redo=False),
    appends(
        "a metaclass",
        "class M(type):\n    def __call__(cls): data.append(1)\nclass A(metaclass=M): pass",
        "A()",
    ),
    appends(
        "an operator method of a container's element",
        "class B:\n    def __lt__(self, o): data[:] = [1]; return True\nbs = [B(), B()]",
        "bs.sort()",
    ),
)
