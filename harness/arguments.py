"""What the parsers of our command lines share: an error is one line of bounded length."""

import argparse
from typing import NoReturn

from harness.errors import plain, shortened


class Parser(argparse.ArgumentParser):
    """argparse's parser, which quotes an argument whole: a megabyte of it too."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the error, and exit with code 2."""
        super().error(plain(shortened(message)))
