"""The arguments of a run: keyword arguments and settings, in the form that the library accepts.

Contract: keyword arguments are the flags of the command line, settings the keys of a run's ``config.toml``. In increasing order of
precedence: recipe, file, keyword arguments, ``settings``. The library checks all of them and reports which one is wrong.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from . import _native
from .errors import ConfigError

#: A path in any form.
PathLike = Union[str, "os.PathLike[str]"]
#: A setting in the library's form: its name in the call, its key, its value.
Setting = Tuple[str, str, Any]

#: Keyword arguments and the keys of their settings, as declared by the library.
OPTIONS: Dict[str, str] = {name: key for name, key, _ in _native.options()}
#: Keyword arguments that every stage of a run accepts.
MACHINE = tuple(name for name, _, of_machine in _native.options() if of_machine)


class Asked(NamedTuple):
    """The arguments of a run, in increasing order of precedence."""

    recipe: Optional[str] = None
    config: Optional[PathLike] = None
    settings: Sequence[Setting] = ()
    network: Optional[str] = None
    #: The time in which the run must end, with its unit.
    time: Optional[str] = None
    #: Whether a run without ``time`` keeps to the time limit of its recipe, if there is one.
    planned: bool = False

    def native(self) -> Dict[str, Any]:
        """The arguments in the library's form."""
        config = None if self.config is None else os.fspath(self.config)
        return {**self._asdict(), "config": config, "settings": list(self.settings)}


def of_options(options: Mapping[str, Any], known: Sequence[str] = tuple(OPTIONS)) -> List[Setting]:
    """The settings for these keyword arguments; ``None`` means not given."""
    for name in options:
        if name not in known:
            raise ConfigError(f"{name}: expected one of {', '.join(known)}; every other setting goes into settings={{KEY: VALUE}}")
    return [(name, OPTIONS[name], value) for name, value in options.items() if value is not None]


def of_settings(settings: Optional[Mapping[str, Any]]) -> List[Setting]:
    """The settings of a dictionary, with keys such as ``search.epochs`` or with nested dictionaries."""
    return [("settings", key, value) for key, value in (settings or {}).items()]
