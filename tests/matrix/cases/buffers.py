"""Changes in memory that C code writes into: arrays, views, buffers."""

from __future__ import annotations

from typing import Any

from case import Case
from kinds import QUICK

NP = "import numpy as np"


def written(name: str, make: str, cell: str, before: str, after: str, *imports: str, **options: Any) -> Case:
    """One cell that changes something; `before` and `after` are expressions."""
    return Case(
        name,
        (*(imports or (NP,)), make),
        (QUICK, cell),
        f"assert {before}",
        f"assert {after}",
        **options,
    )


def x(name: str, make: str, cell: str, *imports: str, **options: Any) -> Case:
    """`x` begins with 0, and is made to begin with 7."""
    return written(name, make, cell, "x[0] == 0", "x[0] == 7", *imports, **options)


CASES = (
    x("an item", "x = np.zeros(3)", "x[0] = 7"),
    x("a large array", "x = np.zeros(400_000)", "x[0] = 7"),
    x("out=", "x = np.zeros(3)", "np.add(3, 4, out=x)"),
    x("out= of an alias", "x = np.zeros(3); box = {'out': x}", "np.add(3, 4, **box)"),
    x("a view", "x = np.zeros(9); v = x[:2]", "v[0] = 7"),
    x("a view of a view", "x = np.zeros(9); v = x[:6][:2]", "v[0] = 7"),
    x("a reshaped view", "x = np.zeros(6); v = x.reshape(2, 3)", "v[0, 0] = 7"),
    x("a transposed view", "x = np.zeros(6); v = x.reshape(2, 3).T", "v[0, 0] = 7"),
    x("a strided view", "x = np.zeros(9); v = x[::2]", "v[0] = 7"),
    x("a reversed view", "x = np.zeros(9); v = x[::-1]", "v[-1] = 7"),
    x("a flat iterator", "x = np.zeros(3); it = x.flat", "it[0] = 7", redo=False, reported=("it",)),
    x("a broadcast view's base", "x = np.zeros(3); v = np.broadcast_to(x, (2, 3))", "x[0] = 7"),
    x("as_strided", "x = np.zeros(9); v = np.lib.stride_tricks.as_strided(x, (2,), (8,))", "v[0] = 7"),
    x(
        "sliding windows",
        "x = np.zeros(9); v = np.lib.stride_tricks.sliding_window_view(x, 3, writeable=True)",
        "v[0, 0] = 7",
    ),
    x("another dtype", "x = np.zeros(3, 'u1'); v = x.view('i1')", "v[0] = 7"),
    x(
        "a structured array's field",
        "s = np.zeros(3, [('a', 'i4'), ('b', 'f8')]); x = s['a']",
        "s[0] = (7, 1)",
    ),
    x("a record", "s = np.zeros(3, [('a', 'i4')]); r = s[0]; x = s['a']", "r['a'] = 7"),
    x("the real part", "c = np.zeros(3, complex); x = c.real", "c += 7"),
    x("a matrix's diagonal", "m = np.zeros((3, 3)); x = np.diagonal(m)", "np.fill_diagonal(m, 7)"),
    x("an array in a list", "x = np.zeros(3); xs = [x]", "xs[0][0] = 7"),
    x("an array in an instance", "class B: pass\nb = B(); b.x = x = np.zeros(3)", "b.x += 7"),
    x(
        "an array of a closure",
        "x = np.zeros(3)\ndef maker(a):\n    def fill(): a[0] = 7\n    return fill\nfill = maker(x)",
        "fill()",
    ),
    x("ufunc.at", "x = np.zeros(3)", "np.add.at(x, [0, 0], 3.5)"),
    x("put", "x = np.zeros(3)", "np.put(x, 0, 7)"),
    x("copyto", "x = np.zeros(3)", "np.copyto(x, 7)"),
    x("place", "x = np.zeros(3)", "np.place(x, x == 0, 7)"),
    x("sort", "x = np.array([0., -1.]); x[1] = 8", "x -= 1; x[:] = [8, 7]; x.sort()"),
    x("shuffle", "x = np.arange(3.)", "x += 7; np.random.default_rng(0).shuffle(x[1:])"),
    x("a generator's out", "x = np.zeros(3); rng = np.random.default_rng(0)", "rng.random(out=x); x[0] = 7"),
    x("einsum", "x = np.zeros(1)", "np.einsum('i,i->i', [7.], [1.], out=x)"),
    x(
        "nditer",
        "x = np.zeros(3)",
        "with np.nditer(x, op_flags=['readwrite']) as it:\n    for v in it: v[...] = 7\ndel it, v",
    ),
    x("resize", "x = np.zeros(3)", "x.resize(5, refcheck=False); x[0] = 7"),
    x("a masked array", "x = np.ma.masked_array([0., 1.], [False, True])", "x.data[0] = 7; x[1] = 3"),
    x("frombuffer of a bytearray", "b = bytearray(8); x = np.frombuffer(b, 'u1')", "b[0] = 7"),
    x("a bytearray behind an array", "x = bytearray(8); v = np.frombuffer(x, 'u1')", "v[0] = 7"),
    x("a memoryview of an array", "x = np.zeros(3, 'u1'); m = memoryview(x)", "m[0] = 7"),
    x("a cast memoryview", "x = bytearray(8); m = memoryview(x).cast('I')", "m[0] = 7"),
    x("a slice of a memoryview", "x = bytearray(8); m = memoryview(x)[:4]", "m[0] = 7"),
    x("two memoryviews", "b = bytearray(8); x, y = memoryview(b), memoryview(b)[0:3]", "y[0] = 7"),
    x("array.array", "x = array('i', [0, 1])", "x[0] = 7", "from array import array"),
    x(
        "a memoryview of array.array",
        "x = array('i', [0, 1]); m = memoryview(x)",
        "m[0] = 7",
        "from array import array",
    ),
    x(
        "array.array behind an array",
        "x = array('i', [0, 1]); v = np.frombuffer(x, 'i4')",
        "v[0] = 7",
        "from array import array\nimport numpy as np",
    ),
    x("array.frombytes", "x = array('b', [0])", "x.pop(); x.frombytes(b'\\7')", "from array import array"),
    x("readinto", "x = bytearray(2); f = io.BytesIO(b'\\7\\7')", "f.readinto(x)", "import io"),
    x(
        "readinto an array",
        "x = np.zeros(2, 'u1'); f = io.BytesIO(b'\\7\\7')",
        "f.readinto(x)",
        "import io, numpy as np",
    ),
    x(
        "recv_into",
        "x = bytearray(2)",
        "a, b = socket.socketpair(); a.send(b'\\7'); b.recv_into(x); a.close(); b.close(); del a, b",
        "import socket",
    ),
    x("struct.pack_into", "x = bytearray(2)", "struct.pack_into('B', x, 0, 7)", "import struct"),
    x("a ctypes array", "x = (ctypes.c_int * 3)()", "x[0] = 7", "import ctypes"),
    x(
        "ctypes from_buffer",
        "x = bytearray(8); c = (ctypes.c_char * 8).from_buffer(x)",
        "c[0] = 7",
        "import ctypes",
    ),
    x(
        "memmove",
        "x = bytearray(8); c = (ctypes.c_char * 8).from_buffer(x)",
        "ctypes.memmove(c, b'\\7', 1)",
        "import ctypes",
    ),
    x(
        "memset through an address",
        "x = np.zeros(4, 'u1'); at = x.ctypes.data",
        "ctypes.memset(x.ctypes.data, 7, 1)",
        "import ctypes, numpy as np",
    ),
    x("as_ctypes", "x = np.zeros(4, 'u1'); c = np.ctypeslib.as_ctypes(x)", "c[0] = 7"),
    x("BytesIO.getbuffer", "f = io.BytesIO(b'\\0\\1'); x = f.getbuffer()", "x[0] = 7", "import io"),
    written(
        "mmap without a file",
        "m = mmap.mmap(-1, 8); x = [0]",
        "m[0] = 7; x[0] = 7",
        "x == [0]",
        "x == [7]",
        "import mmap",
        reported=("m",),
        redo=False,
    ),
    x("memmap", "x = np.memmap('mm.bin', 'u1', 'w+', shape=8); x[:] = 0; x.flush()", "x[0] = 7; x.flush()"),
    x("a view of a memmap", "m = np.memmap('mv.bin', 'u1', 'w+', shape=8); x = m[2:]", "m[2] = 7; m.flush()"),
    x("shared by two names", "x = y = np.zeros(3)", "y[0] = 7"),
    x(
        "overlapping views without a base's name",
        "x, y = (lambda z: (z[:6], z[2:]))(np.zeros(9))",
        "y[0] = 3; x[0] = 7",
    ),
    x("an object array", "x = np.array([0, None], dtype=object)", "x[0] = 7"),
    x("a list in an object array", "l = [0]; o = np.array([l, None], dtype=object); x = l", "o[0][0] = 7"),
    x("a string array", "x = np.array([0, 1]); s = np.array(['a', 'b'])", "x[0] = 7; s[0] = 'z'"),
    x(
        "StringDType",
        "s = np.array(['a', 'b'], dtype=np.dtypes.StringDType()); x = [0]",
        "s[0] = 'a longer string than fits'; x[0] = 7",
    ),
    x(
        "a read-only array",
        "x = np.zeros(3); x.flags.writeable = False",
        "x.flags.writeable = True; x[0] = 7; x.flags.writeable = False",
    ),
    x("a Fortran array", "f = np.zeros((3, 2), order='F'); x = f[:, 1]", "f[:, 1] = 7"),
    x(
        "a subclass with attributes",
        "class A(np.ndarray): pass\nx = np.zeros(3).view(A); x.unit = 'm'",
        "x[0] = 7; x.unit = 'km'",
    ),
    x("a zero-dimensional array", "z = np.zeros(()); x = z.reshape(1)", "z[...] = 7"),
    x("datetimes", "d = np.zeros(2, 'M8[s]'); x = d.view('i8')", "d[0] += np.timedelta64(7, 's')"),
    x(
        "a sparse matrix's data",
        "import scipy.sparse as sp\ns = sp.csr_array([[1., 0.]]); s.data[0] = 0; x = s.data",
        "s.data[0] = 7",
        needs=("scipy",),
    ),
    written(
        "a view is writable, its base is too",
        "x = np.zeros(4); v = x[1:3]",
        "v[:] = 5; x[2] = 6",
        "not x.any() and v.base is x",
        "v.tolist() == [5, 6] and v.base is x",
    ),
    written(
        "flags of a view",
        "x = np.zeros((2, 3)); v = x.T; v.flags.writeable = False",
        "x += 1",
        "not v.any() and not v.flags.writeable and v.flags.f_contiguous",
        "v.all() and not v.flags.writeable and np.shares_memory(v, x)",
    ),
    written(
        "bit patterns of NaN",
        "x = np.array([0x7ff8000000000001, 0xfff8000000000002], 'u8').view('f8')",
        "x.view('u8')[0] += 4",
        "x.view('u8')[0] == 0x7ff8000000000001",
        "x.view('u8').tolist() == [0x7ff8000000000005, 0xfff8000000000002]",
    ),
)
