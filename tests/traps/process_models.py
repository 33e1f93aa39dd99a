"""Models that change, stop or end the process that trains them."""

import ctypes
import os
import signal
import sys
import time

import torch

from tests.traps.bases import Alone, Cell


# said: current folder
class ChangesFolder(Cell):
    def more(self, size):
        super().more(size)
        os.chdir("/")


# said: default dtype
class ChangesDtype(Cell):
    def more(self, size):
        super().more(size)
        torch.set_default_dtype(torch.float64)


# said: default device
class ChangesDevice(Cell):
    def more(self, size):
        super().more(size)
        torch.set_default_device("cpu:0")


# said: standard output
class ClosesOutput(Cell):
    def more(self, size):
        super().more(size)
        sys.stdout.close()


# said: standard output
class ReplacesOutput(Alone):
    def along(self, inputs):
        sys.stdout = open(os.devnull, "w")
        return super().along(inputs)


# said: standard error
class ReplacesError(Alone):
    def along(self, inputs):
        sys.stderr = sys.stdout
        return super().along(inputs)


# said: standard output
class ClosesDescriptor(Cell):
    def more(self, size):
        super().more(size)
        os.close(1)


# said: threads
class ChangesThreads(Alone):
    def along(self, inputs):
        torch.set_num_threads(2)
        return super().along(inputs)


# said: grad mode
class ChangesGradMode(Cell):
    def more(self, size):
        super().more(size)
        torch.set_grad_enabled(False)


# said: deterministic
class ChangesDeterminism(Cell):
    def more(self, size):
        super().more(size)
        torch.use_deterministic_algorithms(True)


# said: SIGINT
class ChangesSignals(Cell):
    def more(self, size):
        super().more(size)
        signal.signal(signal.SIGINT, signal.SIG_IGN)


# said: environment | MY_CELL
class ChangesEnvironment(Cell):
    def more(self, size):
        super().more(size)
        os.environ["MY_CELL"] = "1"


# said: sys.exit(3)
class Exits(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        sys.exit(3)


# said: sys.exit
class ExitsInForward(Alone):
    def along(self, inputs):
        sys.exit("no more")


# said: KeyboardInterrupt
class Interrupts(Alone):
    def along(self, inputs):
        raise KeyboardInterrupt


# said: ended the process | 3
class ExitsAtOnce(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        os._exit(3)


# said: ended the process | 0
class ExitsQuietly(Alone):
    def along(self, inputs):
        os._exit(0)


# said: SIGSEGV
class Segfaults(Alone):
    def along(self, inputs):
        ctypes.string_at(0)


# said: SIGABRT
class Aborts(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        os.abort()


# said: SIGKILL
class KillsItself(Alone):
    def along(self, inputs):
        os.kill(os.getpid(), signal.SIGKILL)


# said: after | s
class Loops(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        while True:
            pass


# said: after | s
class Sleeps(Alone):
    def along(self, inputs):
        time.sleep(1e6)
