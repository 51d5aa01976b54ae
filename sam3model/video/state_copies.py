"""Copies of what changes from frame to frame, so that it can be put back after an error.

Values between stages are frozen, so a copy needs new containers only, and shares all tensors.
"""

from collections import deque
from copy import copy
from dataclasses import fields, is_dataclass, replace
from typing import Any


def copied(value: Any, *kinds: type) -> Any:
    """A copy of containers and of objects of these classes, at any depth; everything else is shared.

    >>> before = copied(state := {"seen": [3, 4]})
    >>> state["seen"].append(5)
    >>> before
    {'seen': [3, 4]}
    """
    if isinstance(value, dict):
        return {key: copied(one, *kinds) for key, one in value.items()}
    if isinstance(value, list | set | deque):
        return type(value)(copied(one, *kinds) for one in value)
    if not isinstance(value, kinds):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: copied(getattr(value, one.name), *kinds) for one in fields(value)})
    twin = copy(value)
    twin.__dict__.update({name: copied(one, *kinds) for name, one in value.__dict__.items()})
    return twin
