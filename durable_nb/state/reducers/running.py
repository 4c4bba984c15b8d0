"""What belongs to a process that runs: locks, streams between threads, context variables, loops."""

from __future__ import annotations

import _queue
import _thread
import contextlib
import contextvars
import inspect
import random
import struct
import threading
from importlib import import_module
from typing import Any

from durable_nb.state.reducers.reduce import Table, family, refuse


def lock(held: bool) -> Any:
    """A lock, held or free."""
    made = threading.Lock()
    if held:
        made.acquire()
    return made


def rlock(count: int) -> Any:
    """A reentrant lock that this thread holds so many times; what another held is free."""
    made = threading.RLock()
    for _ in range(count):
        made.acquire()
    return made


def _rlock(value: Any) -> Any:
    # "<locked _thread.RLock object owner=140 count=2 at 0x7f>": nothing else says it in Python 3.11.
    words = dict(word.split("=") for word in repr(value).split() if "=" in word)
    return rlock, (int(words["count"]) if value._is_owned() else 0,)


def _simple_queue(value: Any) -> Any:
    return (_queue.SimpleQueue, ()) if value.empty() else refuse(value)


def context_variable(name: str, default: tuple[Any, ...], value: tuple[Any, ...]) -> Any:
    """A context variable, with its value in the current context."""
    made = contextvars.ContextVar(name, default=default[0]) if default else contextvars.ContextVar(name)
    if value:
        made.set(value[0])
    return made


def _context_variable(variable: contextvars.ContextVar[Any]) -> Any:
    default: tuple[Any, ...] = ()
    with contextlib.suppress(LookupError):
        default = (contextvars.Context().run(variable.get),)
    here = contextvars.copy_context()
    return context_variable, (variable.name, default, (here[variable],) if variable in here else ())


def _context_manager(value: Any) -> Any:
    # One that was not entered yet, such as those that decorate a function, is what it was made from.
    if "func" not in vars(value) or inspect.getgeneratorstate(value.gen) != inspect.GEN_CREATED:
        return refuse(value)
    return type(value), (value.func, value.args, value.kwds)


RUNNING: Table = {
    contextlib._GeneratorContextManager: _context_manager,
    _thread.LockType: lambda value: (lock, (value.locked(),)),
    _thread.RLock: _rlock,
    _thread._local: lambda value: (threading.local, (), dict(vars(value))),
    _queue.SimpleQueue: _simple_queue,
    contextvars.ContextVar: _context_variable,
    struct.Struct: lambda value: (struct.Struct, (value.format,)),
    random.SystemRandom: lambda _value: (random.SystemRandom, ()),
}


def threads(module: Any) -> Table:
    """Of `threading`: one that came back would seem to run, and never end."""
    return family(module.Thread, refuse)


def processes(module: Any) -> Table:
    """Of `subprocess`: the number of a process that runs may belong to another one later."""

    def process(value: Any) -> Any:
        return refuse(value) if value.returncode is None else value.__reduce_ex__(5)

    return family(module.Popen, process)


def pipes(module: Any) -> Table:
    """Of `multiprocessing.connection`: what came back would close a stranger's file."""
    return family(module._ConnectionBase, refuse)


def futures(module: Any) -> Table:
    """Of `concurrent.futures`: nobody would ever finish a future that is not done."""

    def future(value: Any) -> Any:
        return value.__reduce_ex__(5) if value.done() else refuse(value)

    return {module.Future: future, **family(module.Executor, refuse)}


def kernels_loop() -> Any:
    """The event loop of the kernel."""
    return import_module("asyncio").get_running_loop()


def loops(module: Any) -> Table:
    """Of `asyncio`: the loop that runs the cells is there in every kernel."""

    def loop(value: Any) -> Any:
        return (kernels_loop, ()) if value is module._get_running_loop() else refuse(value)

    return family(module.AbstractEventLoop, loop)


def shell() -> Any:
    """The shell of the kernel."""
    return import_module("IPython").get_ipython()


def shells(module: Any) -> Table:
    """Of IPython: the shell that runs the cells is there in every kernel."""

    def its(value: Any) -> Any:
        return (shell, ()) if value is shell() else refuse(value)

    return family(module.InteractiveShell, its)
