"""Data sets of LightGBM and XGBoost, which live in C: from what they were made of, or by their own files."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from durable_nb.state.reducers.reduce import Table


def _file(save: Callable[[str], Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        save(str(path))
        return path.read_bytes()


def lightgbm_dataset(kwargs: dict[str, Any], constructed: bool) -> Any:
    """A data set of LightGBM; constructed, if it was."""
    made = importlib.import_module("lightgbm").Dataset(**kwargs)
    return made.construct() if constructed else made


def _lightgbm(value: Any) -> Any:
    if value.data is None:
        raise TypeError("a lightgbm Dataset is kept only if it was made with free_raw_data=False")
    if value.used_indices is not None:
        raise TypeError("a subset of a lightgbm Dataset cannot be kept")
    names = ("data", "label", "reference", "weight", "group", "init_score", "feature_name",
             "categorical_feature", "params", "free_raw_data", "position")  # fmt: skip
    kwargs = {name: getattr(value, name) for name in names}
    return lightgbm_dataset, (kwargs, value._handle is not None)


def lightgbm(module: Any) -> Table:
    """Of `lightgbm.basic`."""
    return {module.Dataset: _lightgbm}


def xgboost_matrix(data: bytes, names: Any, types: Any) -> Any:
    """A data matrix of XGBoost."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        path.write_bytes(data)
        made = importlib.import_module("xgboost").DMatrix(str(path), silent=True)
    made.feature_names, made.feature_types = names, types
    return made


def _xgboost(value: Any) -> Any:
    return xgboost_matrix, (_file(value.save_binary), value.feature_names, value.feature_types)


def xgboost(module: Any) -> Table:
    """Of `xgboost.core`."""
    return {module.DMatrix: _xgboost}
