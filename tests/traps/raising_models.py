"""Models that raise errors which are hard to print."""

from tests.traps.bases import Alone, Cell


# said: RuntimeError
class RaisesWithoutText(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        raise RuntimeError


# said: two lines
class RaisesLines(Cell):
    def __init__(self, input_size, hidden_size, output_size):
        raise RuntimeError("two" + chr(10) + "lines")


# said: ValueError
class RaisesSurrogate(Alone):
    def along(self, inputs):
        raise ValueError("a lone " + chr(0xD800))


# said: Unprintable
class RaisesUnprintable(Alone):
    def along(self, inputs):
        class Unprintable(Exception):
            def __str__(self):
                raise RuntimeError("no text")

        raise Unprintable


# said: ValueError: xxxx
class RaisesMegabytes(Alone):
    def along(self, inputs):
        raise ValueError("x" * 50_000_000)


# said: RaisesUserError | mine
class RaisesUserError(Alone):
    def along(self, inputs):
        from harness import UserError

        raise UserError("mine")


# said: OwnException
class RaisesOwnBase(Alone):
    def along(self, inputs):
        raise type("OwnException", (BaseException,), {})()


# said: AssertionError
class Asserts(Alone):
    def along(self, inputs):
        assert inputs.shape == (1,)


# said: RecursionError
class Recurses(Alone):
    def along(self, inputs):
        return self.along(inputs)
