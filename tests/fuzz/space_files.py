"""Space files at random: right ones, wrong fields, wrong types, and files that do what no data does."""

from hypothesis import strategies as st

FIELDS = [
    "name", "summary", "tasks", "models", "optimizers", "clip_rules", "lengths", "max_norms", "hidden_size",
    "batch_size", "learning_rate", "lr_trials", "lr_batch", "lr_extend", "tuning_seeds", "seeds", "max_steps",
    "observe", "eval_every", "pack_size", "probes", "checkpoints", "sample_every", "tune_for", "options",
    "paper", "scale", "Name", "model", "seed",
]  # fmt: skip

VALUES = [
    "1", "0", "-1", "True", "None", "1.0", "2.5", "float('nan')", "float('inf')", "10**30", "1e18", "'x'",
    "''", "b'x'", "('rnn',)", "['rnn', 'rnn']", "('adam', 'sgd')", "(5, 10)", "[4]", "(4, '5')", "()", "[]",
    "{}", "{'rnn'}", "{'palindrome': (5,)}", "{'low': 1e-3, 'high': 1e-1}", "{'low': 1}",
    "{'low': 'a', 'high': None}", "{1: 2}", "{'seeds': 2}", "{'seeds': None}", "{'sedes': 2}",
    "{'paper': {}}", "{'scale': 'x'}", "[('seeds', 2)]", "'seeds=2'", "lambda: 1", "object()", "object",
    "int", "range(3)", "iter((5, 6))", "(x for x in (5,))", "Ellipsis", "1j", "('rnn', None)",
    "(float('nan'),)", "'torch.nn:LSTM'", "__import__('torch').nn.LSTM", "('rnn', ('lstm',))",
    "{'layers': 2}", "{'layers': [1, 2]}", "{'layers': 'a'}", "{'layers': {}}", "{None: 1}",
    "{'encoding': b'x'}", "'\\ud800'", "'a\\nb'", "'\\x1b[31m'", "'\\u202ea'", "'x' * 100_000", "'../up'",
    "'a/b'", "'.'", "'CON'", "memoryview(b'x')", "__import__('numpy').int64(3)",
    "__import__('numpy').float32(3)", "__import__('numpy').arange(3)", "__import__('torch').tensor(3)",
    "__import__('decimal').Decimal('3')", "__import__('fractions').Fraction(1, 3)",
    "type('L', (list,), {'__iter__': lambda s: 1 / 0})([1])",
    "type('I', (int,), {'__str__': lambda s: 1 / 0})(3)",
    "type('R', (), {'__repr__': lambda s: 1 / 0, '__str__': lambda s: 1 / 0})()",
]  # fmt: skip

STATEMENTS = [
    "raise ValueError", "raise ValueError('two\\nlines')", "raise ValueError('\\ud800')",
    "raise KeyError('x')", "raise ValueError('x' * 5_000_000)", "raise KeyboardInterrupt",
    "raise GeneratorExit", "raise StopIteration", "raise SystemExit", "raise SystemExit('bye')",
    "raise SystemExit(0)", "import sys; sys.exit(3)", "exit()", "quit()", "raise MemoryError",
    "raise RecursionError", "1 / 0", "assert False", "assert 1 == 2, 'why'", "undefined",
    "import nothing_of_this_name", "from harness import Spaec",
    "import torch; torch.zeros(2) @ torch.zeros(3)",
    "class E(Exception):\n    def __str__(self): 1 / 0\nraise E",
    "class B(BaseException): pass\nraise B('b')",
    "raise ExceptionGroup('g', [ValueError('a'), ValueError('b')])",
    "raise UnicodeDecodeError('utf-8', b'x', 0, 1, 'r')", "def f(): f()\nf()", "print('hello')",
    "print('x' * 100_000)", "import sys; sys.stderr.write('said\\n')", "import sys; sys.stdout.close()",
    "import sys; sys.stderr.close()", "import sys; sys.stdout = None", "import sys; sys.stderr = None",
    "import os; os.chdir('/')", "import warnings; warnings.warn('careful')",
    "import torch; torch.set_default_dtype(torch.float64)", "import sys; sys.path.insert(0, '.')",
    "import sys; sys.argv = []", "import random, numpy; random.seed(1); numpy.random.seed(1)", "Space = 3",
    "SPACE = None", "SPACE = SPACE if 'SPACE' in dir() else 1", "del Space", "print = None", "float = int",
    "__name__ = 'x'", "__file__ = None", "def SPACE(): return 1", "SPACE = type('S', (), {})()",
    "import sys; sys.modules['json'] = None", "__builtins__ = {}", "import sys; sys.setrecursionlimit(60)",
    "async def f(): pass\nf()", "yield 1", "return", "if True:", "x = (", "SPACE = Space", "SPACE: int",
]  # fmt: skip

GOOD = """from harness import Space

SPACE = Space(
    name="mine", summary="", models=("rnn",), optimizers=("sgd",), lengths=(4,), learning_rate=(0.1,),
    seeds=1, max_steps=6, observe=0, eval_every=3, hidden_size=2, batch_size=2, probes=(),
)
"""

ODD_FILES = [
    b"", b"\xff\xfe", b"\xef\xbb\xbf" + GOOD.encode(), GOOD.encode("utf-16"),
    b"# -*- coding: nope -*-\n" + GOOD.encode(), b"# caf\xe9\n" + GOOD.encode(),
    b"# -*- coding: latin-1 -*-\n# caf\xe9\n" + GOOD.encode(), b"\0" + GOOD.encode(), b"(" * 5_000,
    b"-" * 100_000 + b"1", b"x = " + b"9" * 5_000, GOOD.replace("\n", "\r").encode(),
    b"\x0c" + GOOD.encode(), GOOD.encode() + b"\x1a", b"\x7fELF" + bytes(100), b"PK\x03\x04",
    GOOD.replace("    ", "\t").encode(),
]  # fmt: skip


@st.composite
def space_files(draw: st.DrawFn) -> bytes:
    """The content of a file given to --space."""
    odd = draw(st.integers(0, 9))
    if odd == 0:
        return draw(st.sampled_from(ODD_FILES) | st.binary(max_size=60))
    changes = draw(st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(VALUES), max_size=2))
    body = ", ".join(f"{name}={value}" for name, value in changes.items())
    source = GOOD + (f"import dataclasses\nSPACE = dataclasses.replace(SPACE, {body})\n" if changes else "")
    if draw(st.booleans()) and changes:
        kept = [line for line in GOOD.splitlines() if not line.startswith("    ")][:-2]
        source = "\n".join([*kept, f"SPACE = Space({body})\n"])
    statement = draw(st.none() | st.sampled_from(STATEMENTS))
    if statement is None:
        return source.encode()
    first = draw(st.booleans())
    return f"{statement}\n{source}".encode() if first else f"{source}\n{statement}\n".encode()
