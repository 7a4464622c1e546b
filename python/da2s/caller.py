"""Warnings at the line that called da2s.

Contract: a warning names the file and the line of the caller, however many functions of da2s are in between.
"""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import Optional


def warn(text: str) -> None:
    """Issues a warning to the caller of da2s."""
    level = 1
    frame: Optional[FrameType] = sys._getframe(0)
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == __name__.split(".")[0]:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=level)
