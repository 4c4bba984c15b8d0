"""Tables, arrays and graphs: what people clean, join and walk."""

from __future__ import annotations

from dataclasses import replace

from case import Case

NUMPY = "import numpy as np"
PANDAS = "import numpy as np, pandas as pd"
ARROW = "import pyarrow as pa"
POLARS = "import polars as pl"
XARRAY = "import numpy as np, xarray as xr"

NUMPY_CASES = (
    Case(
        "numpy.ndarray, one element",
        make=(NUMPY, "a = np.arange(12.0).reshape(3, 4)", "other = np.ones(3)"),
        mutate=("a[1, 2] = -1",),
        before="assert a.tolist() == np.arange(12.0).reshape(3, 4).tolist(); assert a.flags.writeable",
        after="assert a[1, 2] == -1; assert a.sum() == 66 - 6 - 1",
        keep_id=("other",),
        needs=("numpy",),
    ),
    Case(
        "numpy.ndarray, sorted and shuffled in place",
        make=(NUMPY, "a = np.array([3, 1, 2])", "b = np.arange(9)"),
        mutate=("a.sort()", "np.random.default_rng(0).shuffle(b)"),
        before="assert a.tolist() == [3, 1, 2] and b.tolist() == list(range(9))",
        after="assert a.tolist() == [1, 2, 3] and sorted(b) == list(range(9)) != b.tolist()",
        needs=("numpy",),
    ),
    Case(
        "numpy.ndarray, resized in place",
        make=(NUMPY, "a = np.array([3, 1, 2])"),
        mutate=("a.resize(5, refcheck=False)",),
        before="assert a.tolist() == [3, 1, 2]",
        after="assert a.tolist() == [3, 1, 2, 0, 0]",
        needs=("numpy",),
    ),
    Case(
        "numpy views stay views of their base",
        make=(
            NUMPY,
            "base = np.zeros((6, 6))",
            "row, corner, flat = base[2], base[::-2, ::-2], base.reshape(-1)",
        ),
        mutate=("corner[0, 0] = 5", "row += 1", "flat[0] = 7"),
        before="""
            assert not base.any() and row.base is not None
            for view in (row, corner, flat):
                assert np.shares_memory(base, view)
        """,
        after="""
            assert base[5, 5] == 5 and base[0, 0] == 7 and base[2].tolist() == [1] * 6
            assert row.tolist() == [1] * 6 and corner[0, 0] == 5 and flat[0] == 7
            for view in (row, corner, flat):
                assert np.shares_memory(base, view)
            saved, row[3] = row[3], 44
            assert base[2, 3] == 44 and flat[15] == 44
            row[3] = saved
        """,
        needs=("numpy",),
    ),
    Case(
        "numpy structured array, a field set",
        make=(NUMPY, "a = np.zeros(3, dtype=[('x', 'f4'), ('n', 'U3')])", "field = a['x']"),
        mutate=("field[1] = 2.5", "a['n'][0] = 'abc'"),
        before="assert a.tolist() == [(0.0, '')] * 3; assert np.shares_memory(a, field)",
        after="assert a.tolist() == [(0, 'abc'), (2.5, ''), (0, '')]; assert np.shares_memory(a, field)",
        needs=("numpy",),
    ),
    Case(
        "numpy.ma.MaskedArray",
        make=(NUMPY, "m = np.ma.masked_array([1.0, 2.0, 3.0], mask=[0, 1, 0])"),
        mutate=("m[0] = np.ma.masked", "m[1] = 9"),
        before="assert m.sum() == 4 and m.mask.tolist() == [False, True, False]",
        after="assert m.sum() == 12 and m.mask.tolist() == [True, False, False]",
        needs=("numpy",),
    ),
    Case(
        "numpy object array that holds the user's lists",
        make=(NUMPY, "items = [1]", "boxes = np.array([items, None], dtype=object)"),
        mutate=("boxes[0].append(2)", "boxes[1] = items"),
        before="assert items == [1] and boxes[0] is items and boxes[1] is None",
        after="assert items == [1, 2] and boxes[0] is boxes[1] is items",
        needs=("numpy",),
    ),
    Case(
        "numpy.random.Generator goes on where it was",
        make=(
            NUMPY,
            "rng = np.random.default_rng(5)",
            "same = rng",
            "first = np.random.default_rng(5).normal(size=4)",
        ),
        mutate=("drawn = rng.normal(size=2)",),
        before="""
            import copy
            assert same is rng
            assert copy.deepcopy(rng).normal(size=4).tolist() == first.tolist()
        """,
        after="""
            import copy
            assert same is rng
            assert copy.deepcopy(rng).normal(size=2).tolist() == first[2:].tolist()
        """,
        needs=("numpy",),
    ),
    Case(
        "numpy.datetime64, numpy.matrix and numpy.recarray",
        make=(
            NUMPY,
            "days = np.arange('2026-01', '2026-02', dtype='datetime64[D]')",
            "r = np.rec.array([(1, 2.0)], names='a,b')",
            "s = np.array(['a', 'bc'], dtype=np.dtypes.StringDType())",
        ),
        mutate=("days[0] = 'NaT'", "r.b[0] = 5", "s[0] = 'a long string that does not fit in place, at all'"),
        before="assert str(days[0]) == '2026-01-01' and r.b.tolist() == [2] and s.tolist() == ['a', 'bc']",
        after="assert np.isnat(days[0]) and r[0].b == 5 and s[0].endswith('at all') and s[1] == 'bc'",
        needs=("numpy",),
    ),
    Case(
        "numpy.poly1d and numpy.vectorize",
        make=(NUMPY, "p = np.poly1d([1, 2, 3])", "@np.vectorize\ndef twice(v): return 2 * v"),
        mutate=("p[0] = 10", "twice.note = 'seen'"),
        before="assert p(2) == 11 and twice([1, 2]).tolist() == [2, 4] and not hasattr(twice, 'note')",
        after="assert p(2) == 18 and twice([3]).tolist() == [6] and twice.note == 'seen'",
        needs=("numpy",),
    ),
)

PANDAS_CASES = (
    Case(
        "pandas.Series, a value set",
        make=(PANDAS, "s = pd.Series([1, 2, 3], index=list('abc'), name='n')"),
        mutate=("s.loc['b'] = 20", "s.name = 'm'", "s.at['d'] = 4"),
        before="assert s.to_dict() == {'a': 1, 'b': 2, 'c': 3} and s.name == 'n' and s.dtype == 'int64'",
        after="assert s.to_dict() == {'a': 1, 'b': 20, 'c': 3, 'd': 4} and s.name == 'm'",
        needs=("pandas",),
    ),
    Case(
        "pandas.DataFrame, columns and cells",
        make=(
            PANDAS,
            """
                days = pd.date_range('2026', periods=3, tz='UTC')
                df = pd.DataFrame({'n': [1, 2, None], 's': ['a', None, 'c']}, index=days)
            """,
            "df.attrs['source'] = ['there']",
        ),
        mutate=(
            "df['twice'] = df.n * 2",
            "df.loc[df.index[0], 'n'] = 10",
            "df.iloc[1, 1] = 'b'",
            "df.drop(columns='twice', inplace=True); df.attrs['source'].append('here')",
        ),
        before="""
            assert df.n.fillna(0).tolist() == [1, 2, 0] and df.s.fillna('-').tolist() == ['a', '-', 'c']
            assert list(df) == ['n', 's'] and df.attrs == {'source': ['there']}
            assert df.index.freqstr == 'D' and str(df.index.tz) == 'UTC'
        """,
        after="""
            assert df.n.fillna(0).tolist() == [10, 2, 0] and df.s.tolist() == ['a', 'b', 'c']
            assert list(df) == ['n', 's'] and df.attrs == {'source': ['there', 'here']}
        """,
        needs=("pandas",),
    ),
    Case(
        "pandas.DataFrame, methods with inplace",
        make=(PANDAS, "df = pd.DataFrame({'k': [2, 1, 2], 'v': [1.0, np.nan, 3.0]})"),
        mutate=(
            "df.fillna(0, inplace=True)",
            "df.sort_values('k', inplace=True, ignore_index=True)",
            "df.rename(columns={'v': 'w'}, inplace=True)",
            "df.set_index('k', inplace=True)",
        ),
        before="pd.testing.assert_frame_equal(df, pd.DataFrame({'k': [2, 1, 2], 'v': [1.0, np.nan, 3.0]}))",
        after="assert df.w.tolist() == [0, 1, 3] and df.index.tolist() == [1, 2, 2] and df.index.name == 'k'",
        needs=("pandas",),
    ),
    Case(
        "a copy of a frame is an object of its own",
        make=(PANDAS, "df = pd.DataFrame({'v': [1.0, 2.0]})", "kept = df.copy()"),
        mutate=("df.loc[0, 'v'] = 10.0",),
        before="assert df.v.tolist() == kept.v.tolist() == [1, 2]",
        after="assert df.v.tolist() == [10, 2] and kept.v.tolist() == [1, 2]",
        keep_id=("kept",),
        needs=("pandas",),
    ),
    Case(
        "pandas.Categorical and MultiIndex",
        make=(
            PANDAS,
            "c = pd.Series(['x', 'y', 'x'], dtype='category')",
            """
                pairs = pd.MultiIndex.from_tuples([('a', 1), ('b', 2)], names=['l', 'n'])
                m = pd.DataFrame({'v': [1, 2]}, index=pairs.copy())
            """,
        ),
        mutate=(
            "c = c.cat.add_categories('z'); c.iloc[0] = 'z'",
            "m.loc[('c', 3), 'v'] = 9",
            "m.index.names = ['L', 'N']",
        ),
        before="""
            assert list(c.cat.categories) == ['x', 'y'] and c.tolist() == ['x', 'y', 'x']
            assert m.index.names == ['l', 'n'] and m.v.tolist() == [1, 2]
        """,
        after="""
            assert list(c.cat.categories) == ['x', 'y', 'z'] and c.tolist() == ['z', 'y', 'x']
            assert m.index.names == ['L', 'N'] and m.loc[('c', 3), 'v'] == 9
        """,
        needs=("pandas",),
    ),
    Case(
        "pandas over a NumPy array that the user holds",
        make=(PANDAS, "a = np.zeros((4, 2))", "df = pd.DataFrame(a, columns=['x', 'y'], copy=False)"),
        mutate=("a[2, 1] = 5",),
        before="assert not a.any() and not df.to_numpy().any() and np.shares_memory(a, df.to_numpy())",
        after="assert a[2, 1] == 5 and df.y[2] == 5 and np.shares_memory(a, df.to_numpy())",
        needs=("pandas",),
    ),
    Case(
        "pandas strings over Arrow, nullable and Arrow dtypes",
        make=(
            PANDAS,
            "s = pd.Series(['a', None, 'ccc'], dtype='string[pyarrow]')",
            "i = pd.array([1, None, 3], dtype='Int64')",
            "f = pd.Series([1.5, None], dtype='double[pyarrow]')",
        ),
        mutate=("s[1] = 'b'", "i[0] = pd.NA", "f[1] = 2.5"),
        before="""
            assert s.isna().tolist() == [False, True, False] and str(s.dtype) == 'string'
            assert i[0] == 1 and i[1] is pd.NA and f.isna().tolist() == [False, True]
        """,
        after="""
            assert s.tolist() == ['a', 'b', 'ccc'] and i[0] is pd.NA and i[2] == 3
            assert f.tolist() == [1.5, 2.5]
        """,
        needs=("pandas", "pyarrow"),
    ),
    Case(
        "pandas Interval, Period, sparse and timedelta",
        make=(
            PANDAS,
            "cut = pd.Series(pd.cut([1, 5, 9], [0, 3, 6, 10]))",
            "p = pd.Series(pd.period_range('2026-01', periods=3, freq='M'))",
            "sp = pd.Series(pd.arrays.SparseArray([0.0, 0.0, 1.0], fill_value=0.0))",
            "t = pd.Series(pd.to_timedelta([1, 2], unit='h'))",
        ),
        mutate=("cut.iloc[0] = cut.iloc[2]", "p[0] += 5", "sp = sp * 3", "t[0] = pd.Timedelta(days=1)"),
        before="""
            assert cut.iloc[0].right == 3 and str(p[0]) == '2026-01'
            assert sp.sparse.density < 0.5 and sp.sum() == 1 and t[0] == pd.Timedelta(hours=1)
        """,
        after="""
            assert cut.iloc[0].right == 10 and str(p[0]) == '2026-06'
            assert sp.sum() == 3 and t[0] == pd.Timedelta(days=1)
        """,
        needs=("pandas",),
    ),
    Case(
        "pandas groupby and rolling of a frame",
        make=(
            PANDAS,
            "df = pd.DataFrame({'k': ['a', 'b', 'a'], 'v': [1.0, 2.0, 3.0]})",
            "by = df.groupby('k')",
            "window = df.v.rolling(2)",
        ),
        mutate=("df.loc[0, 'v'] = 100.0", "by = df.groupby('k')", "window = df.v.rolling(2, min_periods=1)"),
        before="assert by.v.sum().to_dict() == {'a': 4, 'b': 2} and by.obj is df and window.sum()[1] == 3",
        after="assert by.v.sum().to_dict() == {'a': 103, 'b': 2} and by.obj is df and window.sum()[0] == 100",
        needs=("pandas",),
    ),
    Case(
        "pandas frame of the user's objects",
        make=(PANDAS, "shared = {'n': 0}", "df = pd.DataFrame({'o': [shared, shared, None]}, dtype=object)"),
        mutate=("df.o[0]['n'] += 1",),
        before="assert shared == {'n': 0} and df.o[0] is df.o[1] is shared",
        after="assert shared == {'n': 1} and df.o[0] is df.o[1] is shared",
        needs=("pandas",),
    ),
)

PANDAS_CASES += (
    Case(
        "pandas.DataFrame that is only read",
        make=(
            PANDAS,
            """
                columns = {'k': list('aba'), 'v': [1.0, 2.0, 3.0], 'o': [[1], [2], [3]]}
                df = pd.DataFrame(columns, index=[5, 6, 7])
            """,
        ),
        mutate=(
            """
            text = repr(df)
            n = df.v.sum()
            by = df.groupby('k').v.mean().to_dict()
            row = df.loc[6, 'v']
        """,
        ),
        before="assert df.v.sum() == 6 and df.o[5] == [1]",
        after="assert n == 6 and by == {'a': 2, 'b': 2} and row == 2 and 'v' in text",
        unchanged=("df",),
        needs=("pandas",),
    ),
    Case(
        "pandas.DataFrame in an object of the notebook, cleaned by its method",
        make=(
            PANDAS,
            """
            class Clean:
                def __init__(self, df):
                    self.df, self.log = df, []
                def drop(self):
                    before = len(self.df)
                    self.df.dropna(inplace=True)
                    self.log.append(before - len(self.df))
                    return self
            """,
            "df = pd.DataFrame({'v': [1, np.nan, 3]}); job = Clean(df); steps = job.log",
        ),
        mutate=("done = job.drop()",),
        before="assert job.df is df and len(df) == 3 and steps == [] and job.log is steps",
        after="assert job.df is df and len(df) == 2 and steps == [1] and job.log is steps and done is job",
        needs=("pandas",),
    ),
)

ARROW_CASES = (
    Case(
        "pyarrow.Table",
        make=(ARROW, "t = pa.table({'n': [1, None, 3], 's': ['a', 'b', None]})", "column = t['n']"),
        mutate=("t = t.append_column('m', pa.array([True, False, None])).slice(1)", "column = t['m']"),
        before="""
            assert t.to_pydict() == {'n': [1, None, 3], 's': ['a', 'b', None]}
            assert column.to_pylist() == [1, None, 3]
        """,
        after="assert t.num_rows == 2 and t['m'].to_pylist() == column.to_pylist() == [False, None]",
        needs=("pyarrow",),
    ),
    Case(
        "pyarrow array over a NumPy array that is written to",
        make=(
            ARROW,
            NUMPY,
            "a = np.arange(1000.0)",
            "col = pa.array(a)",
            "t = pa.Table.from_arrays([col], ['x'])",
        ),
        mutate=("a[3] = -5",),
        before="assert a[3] == 3 and col[3].as_py() == 3 and t['x'][3].as_py() == 3",
        after="""
            assert a[3] == -5 and col[3].as_py() == -5 and t['x'][3].as_py() == -5
            old, a[4] = a[4], 99
            assert col[4].as_py() == 99
            a[4] = old
        """,
        needs=("pyarrow", "numpy"),
    ),
    Case(
        "pyarrow dictionary, nested and record batch",
        make=(
            ARROW,
            "d = pa.array(['x', 'y', 'x']).dictionary_encode()",
            "n = pa.array([[1, 2], None, [3]])",
            "b = pa.record_batch({'n': n, 'd': d})",
            "schema = b.schema",
        ),
        mutate=(
            "b = b.set_column(0, 'n', pa.array([[0], [1], [2]]))",
            "schema = b.schema.with_metadata({'k': 'v'})",
        ),
        before="""
            assert b['n'].to_pylist() == [[1, 2], None, [3]] and d.indices.to_pylist() == [0, 1, 0]
            assert schema.metadata is None
        """,
        after="""
            assert b['n'].to_pylist() == [[0], [1], [2]] and b['d'] == d
            assert schema.metadata == {b'k': b'v'}
        """,
        needs=("pyarrow",),
    ),
    Case(
        "pyarrow buffer, written through NumPy",
        make=(
            ARROW,
            NUMPY,
            "buffer = pa.allocate_buffer(800)",
            "view = np.frombuffer(buffer, dtype='f8')",
            "view[:] = 0",
        ),
        mutate=("view[10] = 3",),
        before="assert view.sum() == 0 and not any(buffer.to_pybytes())",
        after="assert view[10] == 3 and np.frombuffer(buffer, dtype='f8')[10] == 3",
        needs=("pyarrow", "numpy"),
    ),
    Case(
        "pandas and pyarrow over one buffer",
        make=(
            ARROW,
            PANDAS,
            "t = pa.table({'x': np.arange(1000.0)})",
            "df = t.to_pandas(zero_copy_only=True, split_blocks=True)",
        ),
        mutate=("df['x'] = df.x * 2", "df.loc[1, 'x'] = 0.0"),
        before="assert df.x.tolist() == t['x'].to_pylist() == [float(i) for i in range(1000)]",
        after="assert df.x[1] == 0 and df.x[999] == 1998 and t['x'][999].as_py() == 999",
        needs=("pyarrow", "pandas"),
    ),
)

POLARS_CASES = (
    Case(
        "polars.DataFrame, in place",
        make=(
            POLARS,
            "df = pl.DataFrame({'a': [1, 2, 3], 's': ['x', None, 'z']})",
            "other = pl.DataFrame({'z': [1]})",
        ),
        mutate=(
            "df.insert_column(1, pl.Series('b', [0.5, 1.5, None]))",
            "df[0, 'a'] = 100",
            "df.extend(pl.DataFrame({'a': [4], 'b': [4.0], 's': ['w']}))",
        ),
        before="assert df.to_dict(as_series=False) == {'a': [1, 2, 3], 's': ['x', None, 'z']}",
        after="assert df.rows()[0] == (100, 0.5, 'x') and df.rows()[3] == (4, 4.0, 'w') and df.height == 4",
        keep_id=("other",),
        needs=("polars",),
    ),
    Case(
        "polars.DataFrame, column replaced and dropped in place",
        make=(
            POLARS,
            """
                kinds = {'c': pl.Categorical}
                df = pl.DataFrame({'a': [3, 1, 2], 'c': ['u', 'v', 'u']}, schema_overrides=kinds)
            """,
            "alias = [df]",
        ),
        mutate=(
            "df.drop_in_place('c')",
            "df.replace_column(0, pl.Series('a', [9.5, 8.5, 7.5]))",
            "df.columns = ['renamed']",
        ),
        before="""
            assert alias[0] is df and df['a'].to_list() == [3, 1, 2]
            assert df['c'].to_list() == ['u', 'v', 'u'] and df.schema['c'] == pl.Categorical
        """,
        after="assert alias[0] is df and df.to_dict(as_series=False) == {'renamed': [9.5, 8.5, 7.5]}",
        needs=("polars",),
    ),
    Case(
        "polars.Series",
        make=(POLARS, "s = pl.Series('n', [3, 1, 2])"),
        mutate=("s[1] = 50", "s.sort(in_place=True)", "s.append(pl.Series('n', [7]))", "s.rename('m')"),
        before="assert s.to_list() == [3, 1, 2] and s.name == 'n'",
        after="assert s.to_list() == [2, 3, 50, 7]",
        needs=("polars",),
    ),
    Case(
        "polars.LazyFrame and expressions",
        make=(
            POLARS,
            "df = pl.DataFrame({'a': [1, 2, 3], 'k': ['x', 'y', 'x']})",
            "lazy = df.lazy().filter(pl.col('a') > 1)",
            "e = pl.col('a').sum().alias('total')",
        ),
        mutate=("lazy = lazy.with_columns(b=pl.col('a') * 2)", "e = e * 10"),
        before="assert lazy.collect()['a'].to_list() == [2, 3] and df.select(e).item() == 6",
        after="assert lazy.collect()['b'].to_list() == [4, 6] and df.select(e).item() == 60",
        needs=("polars",),
    ),
    Case(
        "polars frame of the user's objects, dates and structs",
        make=(
            POLARS,
            "import datetime as dt",
            """
                when = [dt.datetime(2026, 1, 1), None]
                df = pl.DataFrame({'t': when, 'st': [{'x': 1}, {'x': 2}], 'l': [[1], []]})
            """,
        ),
        mutate=(
            "df = df.with_columns(pl.col('t').fill_null(dt.datetime(2027, 1, 1)), n=pl.col('l').list.len())",
        ),
        before="assert df['t'][1] is None and df['st'][1] == {'x': 2} and df.columns == ['t', 'st', 'l']",
        after="assert df['t'][1] == dt.datetime(2027, 1, 1) and df['n'].to_list() == [1, 0]",
        needs=("polars",),
    ),
    Case(
        "polars and pyarrow over one buffer",
        make=(POLARS, "df = pl.DataFrame({'a': range(1000)})", "t = df.to_arrow()"),
        mutate=("df[5, 'a'] = -1",),
        before="assert df['a'][5] == 5 and t['a'][5].as_py() == 5",
        after="assert df['a'][5] == -1 and df['a'].sum() == 499500 - 6 and t['a'][5].as_py() == 5",
        needs=("polars", "pyarrow"),
    ),
)

POLARS_CASES += (
    Case(
        "polars.DataFrame that is only read",
        make=(POLARS, "df = pl.DataFrame({'a': [1, 2, 3], 'k': ['x', 'y', 'x']}); lazy = df.lazy()"),
        mutate=("text = str(df); best = df.group_by('k').agg(pl.col('a').sum()).sort('k')['a'].to_list()",),
        before="assert df['a'].sum() == 6",
        after="assert best == [4, 2] and lazy.collect().equals(df)",
        unchanged=("df", "lazy"),
        needs=("polars",),
    ),
    Case(
        "polars frames that share a column, in a dictionary of the user's",
        make=(
            POLARS,
            "df = pl.DataFrame({'a': list(range(1000))})",
            "tables = {'first': df, 'again': df, 'more': df.with_columns(b=pl.col('a') * 2)}",
        ),
        mutate=("df[0, 'a'] = -5",),
        before="""
            assert tables['first'] is tables['again'] is df and df['a'][0] == 0
            assert tables['more']['a'][0] == 0
        """,
        after="assert tables['first'] is df and df['a'][0] == -5 and tables['more']['a'][0] == 0",
        needs=("polars",),
    ),
)

XARRAY_CASES = (
    Case(
        "xarray.DataArray over a NumPy array",
        make=(
            XARRAY,
            "a = np.zeros((2, 3))",
            "d = xr.DataArray(a, dims=('y', 'x'), coords={'x': [10, 20, 30]}, attrs={'unit': 'K'})",
        ),
        mutate=("d.loc[{'x': 20, 'y': 1}] = 5", "a[0, 0] = 7", "d.attrs['unit'] = 'C'"),
        before="""
            assert not a.any() and np.shares_memory(a, d.values) and d.attrs == {'unit': 'K'}
            assert d.x.values.tolist() == [10, 20, 30]
        """,
        after="""
            assert a[1, 1] == 5 and d.sel(x=20).values.tolist() == [0, 5] and d.attrs == {'unit': 'C'}
            assert d.values[0, 0] == 7 and np.shares_memory(a, d.values)
        """,
        needs=("xarray",),
    ),
    Case(
        "xarray.Dataset",
        make=(XARRAY, "ds = xr.Dataset({'t': ('x', [1.0, 2.0])}, coords={'x': [0, 1]})", "t = ds['t']"),
        mutate=(
            "ds['t'][0] = 50",
            "ds['u'] = ds.t * 2",
            "ds.attrs['title'] = 'made'",
            "ds.coords['label'] = ('x', ['a', 'b'])",
        ),
        before="""
            assert ds.t.values.tolist() == [1, 2] and set(ds) == {'t'} and not ds.attrs
            assert 'label' not in ds.coords and np.shares_memory(t.values, ds.t.values)
        """,
        after="""
            assert ds.u.values.tolist() == [100, 4] and t.values[0] == 50 and ds.attrs == {'title': 'made'}
            assert np.shares_memory(t.values, ds.t.values)
        """,
        needs=("xarray",),
    ),
    Case(
        "xarray.DataTree and groupby",
        make=(
            XARRAY,
            """
                low = xr.Dataset({'v': ('x', [1, 2])})
                tree = xr.DataTree.from_dict({'/': xr.Dataset({'r': 1}), '/a/b': low})
            """,
            "leaf = tree['a/b']",
        ),
        mutate=(
            "leaf['v'] = xr.DataArray([3, 4], dims='x')",
            "tree['c'] = xr.DataTree(xr.Dataset({'n': 0}))",
        ),
        before="""
            assert tree['a/b'] is leaf and tree['a/b/v'].values.tolist() == [1, 2]
            assert list(tree.children) == ['a']
        """,
        after="""
            assert tree['a/b'] is leaf and tree['a/b/v'].values.tolist() == [3, 4]
            assert list(tree.children) == ['a', 'c']
        """,
        needs=("xarray",),
    ),
)

LAZY_CASES = (
    Case(
        "dask.array, dask.delayed and a bag",
        make=(
            "import dask, dask.array as da, dask.bag as db, numpy as np",
            "x = da.ones((100, 100), chunks=50)",
            "@dask.delayed\ndef plus(a, b): return a + b",
            "total = plus(1, 2)",
            "bag = db.from_sequence([1, 2, 3], npartitions=2)",
        ),
        mutate=("x[0, 0] = 100", "total = plus(total, 10)", "bag = bag.map(lambda v: v * 10)"),
        before="""
            with dask.config.set(scheduler='synchronous'):
                assert x.sum().compute() == 10_000 and total.compute() == 3 and bag.sum().compute() == 6
        """,
        after="""
            with dask.config.set(scheduler='synchronous'):
                assert x.sum().compute() == 10_099 and total.compute() == 13 and bag.sum().compute() == 60
        """,
        needs=("dask", "numpy"),
    ),
    Case(
        "dask.dataframe",
        make=(
            "import dask, dask.dataframe as dd, pandas as pd",
            "df = pd.DataFrame({'k': list('abab'), 'v': [1, 2, 3, 4]})",
            "ddf = dd.from_pandas(df, npartitions=2)",
        ),
        mutate=("ddf['w'] = ddf.v * 10",),
        before="""
            assert list(ddf.columns) == ['k', 'v'] and ddf.npartitions == 2
            with dask.config.set(scheduler='synchronous'):
                assert ddf.v.sum().compute() == 10
        """,
        after="""
            with dask.config.set(scheduler='synchronous'):
                assert ddf.groupby('k').w.sum().compute().to_dict() == {'a': 40, 'b': 60}
        """,
        needs=("dask", "pandas"),
    ),
    Case(
        "duckdb results as frames and tables",
        make=(
            "import duckdb, pandas as pd",
            "df = pd.DataFrame({'v': [1, 2, 3]})",
            "got = duckdb.sql('SELECT v, v * 2 AS w FROM df').df()",
            "table = duckdb.sql('SELECT max(v) AS m FROM df').to_arrow_table()",
        ),
        mutate=(
            "got.loc[0, 'w'] = 100",
            "df.loc[2, 'v'] = 50",
            "table = duckdb.sql('SELECT max(v) AS m FROM df').to_arrow_table()",
        ),
        before="assert got.w.tolist() == [2, 4, 6] and table['m'].to_pylist() == [3]",
        after="assert got.w.tolist() == [100, 4, 6] and table['m'].to_pylist() == [50]",
        needs=("duckdb", "pandas", "pyarrow"),
    ),
    Case(
        "duckdb connection to a file, and what it wrote",
        make=(
            "import duckdb",
            "con = duckdb.connect('case.duckdb')",
            "con.execute('CREATE OR REPLACE TABLE t AS SELECT 1 AS v')",
        ),
        mutate=("same = con",),
        before="assert con.execute('SELECT count(*) FROM t').fetchone()[0] == 1",
        after="assert same is con and con.execute('SELECT v FROM t').fetchone() == (1,)",
        needs=("duckdb",),
    ),
    Case(
        "duckdb relations and a database in memory: said to be lost, not what came of them",
        make=(
            "import duckdb",
            "con = duckdb.connect(); con.execute('CREATE TABLE t AS SELECT range AS v FROM range(5)')",
            "rel = con.sql('SELECT sum(v) AS s FROM t'); total = rel.fetchall()[0][0]",
        ),
        mutate=(
            """
            con.execute('INSERT INTO t VALUES (100)')
            total = con.sql('SELECT sum(v) FROM t').fetchall()[0][0]
        """,
        ),
        before="assert total == 10",
        after="assert total == 110",
        reported=("con", "rel"),
        redo=False,
        needs=("duckdb",),
    ),
    Case(
        "pyspark.sql session and frame: said to be lost, not what came of them",
        make=(
            "from pyspark.sql import SparkSession",
            """
                builder = SparkSession.builder.master('local[1]').config('spark.ui.enabled', 'false')
                spark = builder.getOrCreate(); del builder
            """,
            "frame = spark.createDataFrame([(1, 'a'), (2, 'b')], ['n', 's']); rows = frame.collect()",
        ),
        mutate=("frame = frame.filter('n > 1'); rows = frame.collect()",),
        before="assert [r.n for r in rows] == [1, 2]",
        after="assert [r.asDict() for r in rows] == [{'n': 2, 's': 'b'}]",
        reported=("spark", "frame"),
        redo=False,
        needs=("pyspark",),
        seconds=240,
    ),
    Case(
        "pyspark.sql types and rows",
        make=(
            "from pyspark.sql import Row",
            "from pyspark.sql.types import StructType, StringType, IntegerType",
            "schema = StructType().add('name', StringType(), True)",
            "rows = [Row(name='a', n=1)]",
        ),
        mutate=("schema.add('n', IntegerType(), False)", "rows.append(Row(name='b', n=2))"),
        before="""
            assert schema.names == ['name'] and len(schema.fields) == 1 and rows[0].n == 1
            assert len(rows) == 1
        """,
        after="""
            assert schema['n'].dataType == IntegerType() and not schema['n'].nullable
            assert rows[1].asDict() == {'name': 'b', 'n': 2}
        """,
        needs=("pyspark",),
    ),
)

GRAPH_CASES = (
    Case(
        "networkx.Graph that is only read",
        make=(
            "import networkx as nx",
            "g = nx.path_graph(4); seen = len(g.edges), len(g.nodes), dict(g.degree), g.adj",
        ),
        mutate=("way = nx.shortest_path(g, 0, 3); ends = [n for n in g.nodes if g.degree[n] == 1]",),
        before="assert sorted(g.edges) == [(0, 1), (1, 2), (2, 3)]",
        after="assert way == [0, 1, 2, 3] and ends == [0, 3]",
        unchanged=("g",),
        needs=("networkx",),
    ),
    Case(
        "networkx.Graph",
        make=("import networkx as nx", "g = nx.path_graph(4)", "around = g[1]", "links = g.edges"),
        mutate=(
            "g.add_edge(0, 3, weight=2.5)",
            "g.nodes[1]['label'] = 'one'",
            "g.remove_node(2)",
            "g.graph['name'] = 'ring'",
        ),
        before="""
            assert sorted(g.edges) == [(0, 1), (1, 2), (2, 3)] and not g.nodes[1] and set(around) == {0, 2}
            assert len(links) == 3
        """,
        after="""
            assert sorted(map(sorted, g.edges)) == [[0, 1], [0, 3]] and g[3][0] is g[0][3]
            assert g[0][3]['weight'] == 2.5
            assert g.nodes[1] == {'label': 'one'} and g.name == 'ring' and set(around) == {0}
            assert len(links) == 2
            g.add_edge(1, 'new')
            assert 'new' in around and len(links) == 3
            g.remove_node('new')
        """,
        needs=("networkx",),
    ),
    Case(
        "networkx.DiGraph with attributes that it shares with a variable",
        make=(
            "import networkx as nx",
            "class Station:\n    def __init__(self, name): self.name, self.load = name, 0",
            "a, b = Station('a'), Station('b')",
            "info = {'open': True}",
            "g = nx.DiGraph(); g.add_edge(a, b, info=info); g.add_node(a, info=info)",
            "back = g.reverse(copy=False); part = g.subgraph([a])",
        ),
        mutate=("g[a][b]['info']['open'] = False", "a.load += 5", "g.add_edge(b, a)"),
        before="""
            assert g[a][b]['info'] is g.nodes[a]['info'] is info and info['open'] and a.load == 0
            assert list(g.nodes) == [a, b] and list(g) == [a, b] and back.has_edge(b, a)
            assert not back.has_edge(a, b)
        """,
        after="""
            assert g[a][b]['info'] is g.nodes[a]['info'] is info and not info['open']
            assert next(iter(g)).load == 5
            assert back.has_edge(a, b) and set(part) == {a} and nx.shortest_path(g, b, a) == [b, a]
        """,
        needs=("networkx",),
    ),
    Case(
        "networkx.MultiDiGraph and a layout",
        make=(
            "import networkx as nx, numpy as np",
            "g = nx.MultiDiGraph([(0, 1), (0, 1)])",
            "pos = {0: np.array([1.0, 0.0]), 1: np.zeros(2)}",
        ),
        mutate=("key = g.add_edge(0, 1, w=3)", "pos[0][:] = 9"),
        before="assert g.number_of_edges(0, 1) == 2 and pos[0].tolist() == [1, 0]",
        after="""
            assert g.number_of_edges(0, 1) == 3 and g[0][1][key] == {'w': 3} and pos[0].tolist() == [9, 9]
        """,
        needs=("networkx",),
    ),
    Case(
        "shapely geometries, prepared and in a tree",
        make=(
            "import shapely, numpy as np",
            "from shapely import Point, Polygon, STRtree",
            "square = Polygon([(0, 0), (2, 0), (2, 2), (0, 2)])",
            "points = np.array([Point(1, 1), Point(5, 5)])",
            "tree = STRtree(points)",
        ),
        mutate=("square = square.buffer(4)", "points[0] = Point(9, 9)", "tree = STRtree(points)"),
        before="""
            assert square.area == 4 and shapely.contains(square, points).tolist() == [True, False]
            assert tree.query(square).tolist() == [0]
        """,
        after="assert square.area > 60 and points[0].x == 9 and tree.query(square).tolist() == [1]",
        needs=("shapely",),
    ),
    Case(
        "geopandas.GeoDataFrame",
        make=(
            "import geopandas as gpd",
            "from shapely.geometry import Point",
            "g = gpd.GeoDataFrame({'n': [1, 2]}, geometry=[Point(0, 0), Point(1, 1)], crs='EPSG:4326')",
        ),
        mutate=(
            "g.loc[0, 'geometry'] = Point(5, 5)",
            "g['far'] = g.distance(Point(0, 0)) > 2",
            "g.set_crs(3857, allow_override=True, inplace=True)",
        ),
        before="""
            assert g.crs == 'EPSG:4326' and g.geometry[0].x == 0 and list(g) == ['n', 'geometry']
            assert len(g.sindex.query(Point(1, 1))) == 1
        """,
        after="""
            assert g.crs == 'EPSG:3857' and g.geometry[0].x == 5 and g.far.tolist() == [True, False]
            assert g.total_bounds.tolist() == [1, 1, 5, 5]
        """,
        needs=("geopandas",),
    ),
)

CASES = (
    *NUMPY_CASES,
    *PANDAS_CASES,
    *ARROW_CASES,
    *(replace(case, long=True) for case in (*POLARS_CASES, *XARRAY_CASES, *LAZY_CASES, *GRAPH_CASES)),
)
