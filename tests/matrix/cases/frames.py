"""Changes in place in pandas and Arrow objects, and what they share."""

# ruff: noqa: E501 - a cell is one string

from __future__ import annotations

from typing import Any

from case import Case
from kinds import QUICK

PD = "import pandas as pd, numpy as np"


def changed(name: str, make: str, cell: str, before: str, after: str, **options: Any) -> Case:
    """One cell that changes something; `before` and `after` are expressions."""
    return Case(name, (PD, make), (QUICK, cell), f"assert {before}", f"assert {after}", **options)


def df(name: str, cell: str, after: str, make: str = "", **options: Any) -> Case:
    """A frame with two columns and two rows."""
    made = "df = pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})" + (f"; {make}" if make else "")
    return changed(name, made, cell, "df.to_dict('list') == {'a': [1, 2], 'b': ['x', 'y']}", after, **options)


CASES = (
    df("a new column", "df['c'] = df.a * 2", "list(df) == ['a', 'b', 'c'] and df.c.tolist() == [2, 4]"),
    df("loc", "df.loc[0, 'a'] = 9", "df.a.tolist() == [9, 2]"),
    df("loc adds a row", "df.loc[5] = [3, 'z']", "df.index.tolist() == [0, 1, 5] and df.b[5] == 'z'"),
    df("iloc", "df.iloc[1, 1] = 'z'", "df.b.tolist() == ['x', 'z']"),
    df("at", "df.at[0, 'a'] = 9", "df.a.tolist() == [9, 2]"),
    df("iat", "df.iat[0, 0] = 9", "df.a.tolist() == [9, 2]"),
    df("drop in place", "df.drop(columns='b', inplace=True)", "list(df) == ['a']"),
    df("del", "del df['a']", "list(df) == ['b']"),
    df("pop", "col = df.pop('a')", "list(df) == ['b'] and col.tolist() == [1, 2]"),
    df("insert", "df.insert(0, 'z', [0, 0])", "list(df) == ['z', 'a', 'b']"),
    df("rename in place", "df.rename(columns={'a': 'A'}, inplace=True)", "list(df) == ['A', 'b']"),
    df("columns", "df.columns = ['p', 'q']", "list(df) == ['p', 'q']"),
    df("index", "df.index = ['p', 'q']", "df.index.tolist() == ['p', 'q']"),
    df("index.name", "df.index.name = 'i'", "df.index.name == 'i'"),
    df("set_index in place", "df.set_index('b', inplace=True)", "df.index.tolist() == ['x', 'y']"),
    df(
        "sort_values in place",
        "df.sort_values('a', ascending=False, inplace=True)",
        "df.a.tolist() == [2, 1]",
    ),
    df("reset_index in place", "df.reset_index(inplace=True)", "list(df) == ['index', 'a', 'b']"),
    df("mask", "df.loc[df.a > 1, 'a'] = 0", "df.a.tolist() == [1, 0]"),
    df("eval in place", "df.eval('c = a + 1', inplace=True)", "df.c.tolist() == [2, 3]"),
    df("update", "df.update(pd.DataFrame({'a': [7]}))", "df.a.tolist() == [7, 2]"),
    df("a masked write", "df['a'] = df['a'].mask(df.a == 2, 5)", "df.a.tolist() == [1, 5]"),
    df("attrs", "df.attrs['unit'] = ['m']", "df.attrs == {'unit': ['m']}"),
    df("flags", "df.flags.allows_duplicate_labels = False", "not df.flags.allows_duplicate_labels"),
    df("in a function", "f(df)", "df.a.tolist() == [9, 2]", "f = lambda d: d.__setitem__('a', [9, 2])"),
    df(
        "under another name",
        "alias[0].loc[0, 'a'] = 9",
        "df.a.tolist() == [9, 2] and alias[0] is df",
        "alias = [df]",
    ),
    df(
        "astype",
        "df['a'] = df.a.astype('Int64'); df.loc[0, 'a'] = pd.NA",
        "df.a.dtype == 'Int64' and df.a.isna().tolist() == [True, False]",
    ),
    df(
        "in a class",
        "job.run()",
        "df.a.tolist() == [9, 2] and job.df is df",
        "exec('class Job:\\n    def run(self): self.df[\"a\"] = [9, 2]\\njob = Job(); job.df = df', globals())",
    ),
    df(
        "an array over its block",
        "v = df[['a']].to_numpy(copy=False); df.isetitem(0, [9, 2])",
        "df.a.tolist() == [9, 2]",
    ),
    df(
        "a copy stays apart",
        "c.loc[0, 'a'] = 9",
        "df.a.tolist() == [1, 2] and c.a.tolist() == [9, 2]",
        "c = df.copy()",
    ),
    df(
        "a shallow copy stays apart",
        "c.loc[0, 'a'] = 9",
        "df.a.tolist() == [1, 2] and c.a.tolist() == [9, 2]",
        "c = df.copy(deep=False)",
    ),
    df(
        "a column stays apart",
        "s.iloc[0] = 9",
        "df.a.tolist() == [1, 2] and s.tolist() == [9, 2]",
        "s = df['a']",
    ),
    df(
        "a chain of frames",
        "q = df.query('a > 1'); q['a'] = 5",
        "df.a.tolist() == [1, 2] and q.a.tolist() == [5]",
    ),
    df(
        "concat along columns",
        "w = pd.concat([df, df.add_suffix('_')], axis=1); w['a'] = 0",
        "w.shape == (2, 4) and df.a.tolist() == [1, 2]",
    ),
    df("cached items", "df['a'] += 1", "df.a.tolist() == [2, 3]", "first = df['a'].sum()"),
    df(
        "a groupby that is kept",
        "df['a'] = [5, 6]",
        "df.a.tolist() == [5, 6] and g.obj is df",
        "g = df.groupby('b')",
        redo=True,
    ),
    changed("a series", "s = pd.Series([1, 2])", "s[0] = 9", "s.tolist() == [1, 2]", "s.tolist() == [9, 2]"),
    changed(
        "a series grows",
        "s = pd.Series({'a': 1})",
        "s['b'] = 2",
        "len(s) == 1",
        "s.to_dict() == {'a': 1, 'b': 2}",
    ),
    changed("a series' name", "s = pd.Series([1])", "s.name = 'n'", "s.name is None", "s.name == 'n'"),
    changed(
        "a series over an array",
        "x = np.zeros(3); s = pd.Series(x, copy=False)",
        "x[0] = 7",
        "s[0] == 0",
        "x[0] == s[0] == 7 and np.shares_memory(x, s.to_numpy())",
    ),
    changed(
        "a frame over an array",
        "x = np.zeros((2, 2)); df = pd.DataFrame(x, copy=False)",
        "x[0] = 7",
        "df.iloc[0, 0] == 0",
        "df.iloc[0, 0] == 7 and np.shares_memory(x, df.to_numpy())",
    ),
    changed(
        "values, made writable",
        "df = pd.DataFrame({'a': [1., 2.]}); v = df.values; v.flags.writeable = True",
        "v[0, 0] = 7",
        "df.a[0] == 1 and v[0, 0] == 1",
        "df.a[0] == 7 and v[0, 0] == 7",
    ),
    changed(
        "a categorical",
        "c = pd.Series(['x', 'y'], dtype='category')",
        "c = c.cat.add_categories(['z']); c[0] = 'z'",
        "c.cat.categories.tolist() == ['x', 'y']",
        "c.tolist() == ['z', 'y'] and c.cat.categories.tolist() == ['x', 'y', 'z']",
    ),
    changed(
        "an ordered categorical in place",
        "c = pd.Categorical(['x', 'y'], ordered=True)",
        "c[0] = 'y'",
        "list(c) == ['x', 'y'] and c.ordered",
        "list(c) == ['y', 'y'] and c.ordered",
    ),
    changed(
        "a MultiIndex",
        "df = pd.DataFrame({'v': [1, 2]}, index=pd.MultiIndex.from_tuples([('a', 1), ('b', 2)], names=['k', 'n']))",
        "df.loc[('a', 1), 'v'] = 9",
        "df.v.tolist() == [1, 2]",
        "df.loc[('a', 1), 'v'] == 9 and df.index.names == ['k', 'n']",
    ),
    changed(
        "MultiIndex columns",
        "df = pd.DataFrame(0, index=[0], columns=pd.MultiIndex.from_product([['a'], [1, 2]]))",
        "df[('a', 2)] = 5",
        "df[('a', 2)].tolist() == [0]",
        "df[('a', 2)].tolist() == [5] and df.columns.nlevels == 2",
    ),
    changed(
        "a sparse column",
        "df = pd.DataFrame({'s': pd.arrays.SparseArray([0, 0, 1])})",
        "df['s'] = pd.arrays.SparseArray([0, 2, 0])",
        "df.s.sum() == 1",
        "df.s.sum() == 2 and df.s.dtype == pd.SparseDtype('int64', 0)",
    ),
    changed(
        "dates with a zone and a frequency",
        "i = pd.date_range('2026-01-01', periods=3, freq='D', tz='UTC'); s = pd.Series(range(3), i)",
        "s['2026-01-02'] = 9",
        "s.index.freq == 'D' and s.iloc[1] == 1",
        "s.index.freq == 'D' and s.iloc[1] == 9 and str(s.index.tz) == 'UTC'",
    ),
    changed(
        "one index of two frames",
        "i = pd.Index(['p', 'q'], name='i'); a = pd.DataFrame({'v': [1, 2]}, i); b = pd.DataFrame({'w': [3, 4]}, i)",
        "a['v'] = 0",
        "a.v.sum() == 3 and a.index is i",
        "a.v.sum() == 0 and a.index is b.index and a.index is i",
    ),
    changed(
        "frames in a dict",
        "d = {k: pd.DataFrame({'v': [k]}) for k in range(3)}; one = d[1]",
        "one['v'] = 9",
        "d[1].v[0] == 1",
        "d[1].v[0] == 9 and d[1] is one",
    ),
    changed(
        "objects in cells",
        "l = [1]; df = pd.DataFrame({'o': [l, {'k': l}]})",
        "df.o[0].append(2)",
        "df.o[1]['k'] == [1]",
        "df.o[1]['k'] == [1, 2] and df.o[0] is l",
    ),
    changed(
        "a subclass with metadata",
        "class F(pd.DataFrame):\n    _metadata = ['unit']\n    @property\n    def _constructor(self): return F\nf = F({'a': [1]}); f.unit = 'm'",
        "f.unit = 'km'; f['a'] = 2",
        "f.unit == 'm' and f.a[0] == 1",
        "f.unit == 'km' and type(f) is F and f.head().unit == 'km' and f.a[0] == 2",
    ),
    changed(
        "a rolling object",
        "s = pd.Series([1., 2., 3.]); r = s.rolling(2)",
        "s[0] = 9",
        "s[0] == 1",
        "s[0] == 9 and r.sum().iloc[2] == 5",
    ),
    changed(
        "an Arrow table and its arrays",
        "import pyarrow as pa; t = pa.table({'a': [1, 2]}); c = t['a']",
        "t = t.append_column('b', pa.array([3, 4]))",
        "t.column_names == ['a'] and c.to_pylist() == [1, 2]",
        "t.to_pydict() == {'a': [1, 2], 'b': [3, 4]} and c == t['a']",
        needs=("pyarrow",),
    ),
    changed(
        "NumPy over an Arrow buffer",
        "import pyarrow as pa; b = bytearray(16); a = pa.Array.from_buffers(pa.int64(), 2, [None, pa.py_buffer(b)]); x = np.frombuffer(b, 'i8')",
        "x[0] = 7",
        "a.to_pylist() == [0, 0]",
        "a.to_pylist() == [7, 0] and x[0] == 7 and b[0] == 7",
        needs=("pyarrow",),
    ),
    changed(
        "Arrow-backed strings",
        "s = pd.Series(['x', None], dtype='string[pyarrow]')",
        "s[1] = 'y'",
        "s.isna().tolist() == [False, True]",
        "s.tolist() == ['x', 'y'] and str(s.dtype) == 'string'",
        needs=("pyarrow",),
    ),
)
