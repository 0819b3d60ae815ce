"""Applications in files of our own: fields under their own names, each cell in the form that reads back the same."""

from typing import Any

import numpy as np
import pandas as pd

from lendsafe.product.model import Field, Product
from lendsafe.product.table import DECISION, IDENTIFIER, OUTCOME, Table, indicator
from lendsafe.product.values import written


def written_frame(table: Table, product: Product) -> pd.DataFrame:
    """The frame as files of ours hold it: read fields alone, each cell in the form that reads back the same."""
    made: dict[str, Any] = {IDENTIFIER: table.frame[IDENTIFIER]}
    for name, column in table.frame.items():
        one = product.fields.get(str(name))
        if one is not None and one.formula is None and name != IDENTIFIER:
            made[str(name)] = [_written(one, value) for value in column]
    for name, one in product.fields.items():
        for code in one.special:
            if (at := indicator(name, code)) in table.frame:
                made[name] = [
                    code if out else cell for out, cell in zip(table.frame[at] > 0, made[name], strict=True)
                ]
    for name in (OUTCOME, DECISION):
        if name in table.frame:
            made[name] = [
                "" if pd.isna(v) else (f"{v:g}" if name == OUTCOME else v) for v in table.frame[name]
            ]
    return pd.DataFrame(made)


def _written(one: Field, value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return written(one, bool(value) if one.kind == "yesno" else value)
