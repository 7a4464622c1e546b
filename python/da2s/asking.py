"""What is asked of a run: keyword arguments and settings, as the library takes them.

Contract: keyword arguments are the flags of the command line, settings the keys of a run's ``config.toml``; later ones win:
recipe, file, keyword arguments, ``settings``. The library checks all of them, and says which one is wrong.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from . import _native
from .errors import ConfigError

#: A path in any form.
PathLike = Union[str, "os.PathLike[str]"]
#: A setting as the library takes it: what it is called, its key, its value.
Setting = Tuple[str, str, Any]

#: Keyword arguments and the settings that they are, as the library declares them.
OPTIONS: Dict[str, str] = {name: key for name, key, _ in _native.options()}
#: Those that every stage of a run takes.
MACHINE = tuple(name for name, _, of_machine in _native.options() if of_machine)


class Asked(NamedTuple):
    """What is asked of a run, lowest first."""

    recipe: Optional[str] = None
    config: Optional[PathLike] = None
    settings: Sequence[Setting] = ()

    def native(self) -> Dict[str, Any]:
        """The same, as the library takes it."""
        config = None if self.config is None else os.fspath(self.config)
        return {"recipe": self.recipe, "config": config, "settings": list(self.settings)}


def of_options(options: Mapping[str, Any], known: Sequence[str] = tuple(OPTIONS)) -> List[Setting]:
    """The settings that these keyword arguments are; ``None`` asks for nothing."""
    for name in options:
        if name not in known:
            raise ConfigError(f"{name}: expected one of {', '.join(known)}; every other setting goes into settings={{KEY: VALUE}}")
    return [(name, OPTIONS[name], value) for name, value in options.items() if value is not None]


def of_settings(settings: Optional[Mapping[str, Any]]) -> List[Setting]:
    """The settings of a dictionary, with keys as ``search.epochs`` or with dictionaries within."""
    return [("settings", key, value) for key, value in (settings or {}).items()]
