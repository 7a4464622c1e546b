"""Errors of da2s, one class per kind; each message says what is wrong and what to do.

Contract: every error of da2s is a :class:`Da2sError`, and also an instance of the matching built-in exception if there is one.
"""


class Da2sError(Exception):
    """An error of da2s."""


class ConfigError(Da2sError, ValueError):
    """An invalid argument, setting or target."""


class DataError(Da2sError, ValueError):
    """Images that are missing, cannot be read, or do not fit together; a damaged table of latencies, or one that lacks an entry."""


class GenotypeError(Da2sError, ValueError):
    """An invalid genotype, or one whose network is above the limits of the target."""


class RunDirectoryError(Da2sError):
    """A run directory that already exists, is incomplete or damaged, or belongs to another run."""


class BusyError(RunDirectoryError):
    """A run directory that another process works on."""


class DeviceError(Da2sError, RuntimeError):
    """A device that is not available."""


class FileError(Da2sError, OSError):
    """A file that cannot be read or written."""


class NotFiniteError(Da2sError, ArithmeticError):
    """A loss or gradient that is NaN or infinite."""


class NotEnoughMemoryError(Da2sError, MemoryError):
    """A step needs more memory than is available; detected before anything is written."""


class Stopped(Da2sError):
    """The run was stopped, after a step or while a network was being measured; ``resume=True`` continues."""


class InternalError(Da2sError, RuntimeError):
    """A defect in da2s."""


class MissingPackage(Da2sError, ImportError):
    """A required package that is not installed."""
