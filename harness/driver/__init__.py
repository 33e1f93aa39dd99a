"""From a space to a finished results folder."""
