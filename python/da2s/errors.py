"""What can go wrong, a class a kind; each says what is wrong and what to do.

Contract: every error of da2s is a :class:`Da2sError`, and an error of Python's own kind where there is one.
"""


class Da2sError(Exception):
    """An error of da2s."""


class ConfigError(Da2sError, ValueError):
    """An argument, a setting or a target that cannot be."""


class DataError(Da2sError, ValueError):
    """Images that are missing, cannot be read, or do not fit together."""


class GenotypeError(Da2sError, ValueError):
    """A text that is no genotype, or a genotype whose network is above the limits of the target."""


class RunDirectoryError(Da2sError):
    """A run directory that exists already, is incomplete, damaged, or does not fit."""


class BusyError(RunDirectoryError):
    """A run directory that another process works on."""


class DeviceError(Da2sError, RuntimeError):
    """A device that is not here."""


class FileError(Da2sError, OSError):
    """A file that cannot be read or written."""


class NotFiniteError(Da2sError, ArithmeticError):
    """A loss or a gradient that is not finite."""


class Stopped(Da2sError):
    """The run was stopped, behind a step or while a network was measured; ``resume=True`` goes on."""


class InternalError(Da2sError, RuntimeError):
    """A defect of da2s."""


class MissingPackage(Da2sError, ImportError):
    """A package that this needs and that is not installed."""
