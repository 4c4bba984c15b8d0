"""Why an object of some class cannot be kept, in words: what it is, and what to do instead."""

from __future__ import annotations

from typing import Any

_ITERATOR = "{} cannot be kept half way: a list can"
_FILE = "{} that is open cannot be kept: close it, or open it in the cell that uses it"
_CONNECTION = "{} cannot be kept: connect in the cell that uses it"
_WORKER = "{} cannot be kept: what it does ends with the kernel"
_STATE = "{} cannot be kept half way: keep what goes into it"

REASONS: dict[str, str] = {
    "builtins.generator": _ITERATOR.format("a generator"),
    "builtins.async_generator": _ITERATOR.format("an asynchronous generator"),
    "builtins.coroutine": "a coroutine that was not awaited cannot be kept: its function can",
    "contextlib._GeneratorContextManager": "a context manager cannot be kept half way: enter a new one",
    "itertools.pairwise": _ITERATOR.format("an iterator"),
    "itertools.batched": _ITERATOR.format("an iterator"),
    "posix.ScandirIterator": _ITERATOR.format("an iterator over a folder"),
    "numpy.nditer": _ITERATOR.format("an iterator over arrays"),
    "numpy.flatiter": "an array's `flat` cannot be kept: keep the array",
    "_csv.reader": "a csv reader cannot be kept: read it into a list",
    "csv.DictReader": "a csv reader cannot be kept: read it into a list",
    "_csv.writer": "a csv writer cannot be kept: the file can; make a writer where it is used",
    "csv.DictWriter": "a csv writer cannot be kept: the file can; make a writer where it is used",
    "re.Match": "a match cannot be kept: keep its groups",
    "re.Scanner": _ITERATOR.format("a scanner"),
    "_sre.SRE_Scanner": _ITERATOR.format("a scanner"),
    "builtins.frame": "a stack frame cannot be kept",
    "builtins.traceback": "a traceback cannot be kept: keep `traceback.format_exc()`",
    "socket.socket": "a network connection cannot be kept: it ends with the kernel",
    "_socket.socket": "a network connection cannot be kept: it ends with the kernel",
    "ssl.SSLContext": "an SSL context cannot be kept: make it in the cell that uses it",
    "_ssl._SSLContext": "an SSL context cannot be kept: make it in the cell that uses it",
    "subprocess.Popen": _WORKER.format("a process that runs"),
    "threading.Thread": _WORKER.format("a thread"),
    "concurrent.futures._base.Executor": _WORKER.format("an executor"),
    "concurrent.futures._base.Future": _WORKER.format("a future that is not done"),
    "multiprocessing.process.BaseProcess": _WORKER.format("a process"),
    "multiprocessing.pool.Pool": _WORKER.format("a pool"),
    "multiprocessing.managers.BaseManager": _WORKER.format("a manager's process"),
    "multiprocessing.connection._ConnectionBase": _WORKER.format("a pipe between processes"),
    "multiprocessing.queues.Queue": _WORKER.format("a queue between processes"),
    "multiprocessing.queues.SimpleQueue": _WORKER.format("a queue between processes"),
    "multiprocessing.synchronize.SemLock": _WORKER.format("a lock between processes"),
    "asyncio.events.AbstractEventLoop": "an event loop cannot be kept, except the kernel's own",
    "_asyncio.Future": _WORKER.format("a task or future of an event loop"),
    "asyncio.futures.Future": _WORKER.format("a task or future of an event loop"),
    "_asyncio.Task": _WORKER.format("a task or future of an event loop"),
    "_contextvars.Context": "a context of context variables cannot be kept: the variables can",
    "_contextvars.Token": "a token of a context variable cannot be kept: set the variable again",
    "_queue.SimpleQueue": "a SimpleQueue that holds items cannot be kept: use queue.Queue",
    "mmap.mmap": "a memory map cannot be kept: use numpy.memmap, which can",
    "gzip.GzipFile": _FILE.format("a compressed file"),
    "bz2.BZ2File": _FILE.format("a compressed file"),
    "lzma.LZMAFile": _FILE.format("a compressed file"),
    "zipfile.ZipExtFile": _FILE.format("a file in an archive"),
    "zipfile.ZipFile": "an archive that is being written cannot be kept: close it first",
    "tarfile.TarFile": "an archive that is being written cannot be kept: close it first",
    "numpy.lib.npyio.NpzFile": _FILE.format("an .npz file"),
    "h5py._hl.base.HLObject": _FILE.format("an HDF5 file, or a part of it,"),
    "h5py._objects.ObjectID": _FILE.format("an HDF5 file, or a part of it,"),
    "tables.file.File": _FILE.format("an HDF5 file"),
    "netCDF4._netCDF4.Dataset": _FILE.format("a netCDF file"),
    "pandas.io.pytables.HDFStore": _FILE.format("an HDF5 file"),
    "sqlite3.Cursor": "a cursor cannot be kept: the connection can, and what was fetched",
    "sqlite3.Blob": "an open blob cannot be kept: the connection can",
    "_duckdb.DuckDBPyConnection": "a DuckDB connection can be kept for a database in a file only",
    "duckdb.DuckDBPyConnection": "a DuckDB connection can be kept for a database in a file only",
    "duckdb._relation.DuckDBPyRelation": "a relation over objects in memory cannot be kept: its `.df()` can",
    "_duckdb.DuckDBPyRelation": "a relation cannot be kept: its `.df()` can",
    "duckdb.duckdb.DuckDBPyRelation": "a relation cannot be kept: its `.df()` can",
    "psycopg.Connection": _CONNECTION.format("a database connection"),
    "psycopg2.extensions.connection": _CONNECTION.format("a database connection"),
    "sqlalchemy.engine.base.Connection": _CONNECTION.format("a database connection"),
    "sqlalchemy.engine.base.Engine": "an engine cannot be kept: make it in the cell that uses it",
    "sqlalchemy.orm.session.Session": _CONNECTION.format("a database session"),
    "pyspark.sql.session.SparkSession": _CONNECTION.format("a Spark session"),
    "selenium.webdriver.remote.webdriver.WebDriver": _WORKER.format("a browser"),
    "tqdm.std.tqdm": "a progress bar cannot be kept: make it where it is used",
    "ipywidgets.widgets.widget.Widget": "a widget lives in the page: make and show it again",
    "comm.base_comm.BaseComm": "a connection to the page cannot be kept",
    "_hashlib.HASH": _STATE.format("a hash"),
    "hmac.HMAC": _STATE.format("a hash"),
    "zlib.Compress": _STATE.format("a compressor"),
    "zlib.Decompress": _STATE.format("a decompressor"),
    "_bz2.BZ2Compressor": _STATE.format("a compressor"),
    "_lzma.LZMACompressor": _STATE.format("a compressor"),
    "_ctypes._Pointer": "a pointer cannot be kept: keep what it points to",
    "_ctypes.CFuncPtr": "a C function cannot be kept: load the library in the cell that uses it",
    "ctypes.CDLL": "a C library cannot be kept: load it in the cell that uses it",
}
"""class, by the name of its module and its own -> why; it holds for subclasses too"""


def reason(value: Any) -> str | None:
    """Why a value whose pickling failed cannot be kept; None where that is not known of its class."""
    for kind in type(value).__mro__:
        found = REASONS.get(f"{kind.__module__}.{kind.__qualname__}")
        if found is not None:
            return found
    return None
