"""Ctrl-C at a chosen step of a program, exactly where CPython lets a signal strike: as calls return and loops go on.

The program is traced by instruction. At the one before the chosen step the trace function is replaced by a function in
C that raises the signal and returns: so Python's own next look at its signals is the program's, not the tracer's.
"""

from __future__ import annotations

import ctypes
import dis
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, NamedTuple

_raise_signal = ctypes.PYFUNCTYPE(None, ctypes.py_object, ctypes.py_object, ctypes.py_object)(
    ("PyErr_SetInterrupt", ctypes.pythonapi)  # it takes no arguments, and does not look at those that a tracer is given
)
_ignore = ctypes.PYFUNCTYPE(None, ctypes.py_object, ctypes.py_object, ctypes.py_object)(
    ("Py_IsInitialized", ctypes.pythonapi)  # the same: for what is entered between that instruction and the strike
)
_names: dict[CodeType, dict[int, str]] = {}


class Struck(BaseException):
    """What the handler of the signal raises."""


class Step(NamedTuple):
    """A step of a program at which a signal can strike.

    Attributes:
        file: Where it is: the end of the file's path.
        line: The line there.
        offset: The instruction in its function.
        number: How many instructions have gone before.
    """

    file: str
    line: int
    offset: int
    number: int


class Watched:
    """Runs a program instruction by instruction, as far as it is in some files.

    Args:
        files: The ends of their paths.
    """

    def __init__(self, *files: str) -> None:
        self._files = files
        self._seen = 0
        self._before = 0
        self._last: FrameType | None = None
        self._strike = -1
        self.steps: list[Step] = []

    def steps_of(self, program: Callable[[], Any]) -> list[Step]:
        """All steps at which a signal can strike; where a program comes by several times, its first and its last."""
        with self._traced(-1):
            program()
        first, last = {}, {}
        for step in self.steps:
            first.setdefault(step[:3], step)
            last[step[:3]] = step
        return sorted({*first.values(), *last.values()}, key=lambda step: step.number)

    def struck(self, step: Step, program: Callable[[], Any]) -> type[BaseException] | None:
        """Run the program, and strike at a step.

        Returns:
            The type of what it raised: the error itself would keep alive what the program has left.
        """
        try:
            with self._handled(), self._traced(step.number):
                program()
        except BaseException as error:  # noqa: BLE001 - it is what was asked for
            return type(error)
        return None

    @contextmanager
    def _traced(self, strike: int) -> Iterator[None]:
        self._seen, self._strike, self._last, self.steps = 0, strike, None, []
        before = sys.gettrace()
        sys.settrace(self._entered)
        try:
            yield
        finally:
            sys.settrace(before)
            self._last = None

    @contextmanager
    def _handled(self) -> Iterator[None]:
        def handle(_number: int, _frame: object) -> None:
            if not raised:
                raised.append(True)
                sys.settrace(None)
                raise Struck

        raised: list[bool] = []
        before = signal.signal(signal.SIGINT, handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _entered(self, frame: FrameType, _event: str, _about: object) -> Any:
        if not frame.f_code.co_filename.endswith(self._files):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return self._went

    def _went(self, frame: FrameType, event: str, _about: object) -> Any:
        if event == "opcode":
            self._seen += 1
            if self._strike < 0:
                self._note(frame)
            elif self._seen == self._strike:
                sys.settrace(_ignore)
                return _raise_signal
        return self._went

    def _note(self, frame: FrameType) -> None:
        code = frame.f_code
        if code not in _names:
            _names[code] = {one.offset: one.opname for one in dis.get_instructions(code)}
        name = _names[code].get(frame.f_lasti, "")
        # The instruction before it must be of the same function, which is where the tracer is replaced.
        if self._last is frame and self._before == self._seen - 1 and name.startswith(("CALL", "JUMP_BACKWARD")):
            self.steps.append(Step(code.co_filename[-40:], frame.f_lineno, frame.f_lasti, self._seen - 1))
        self._last, self._before = frame, self._seen
