"""Arrow tables as pandas frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """A frame with Arrow dtypes: integers with gaps stay integers."""
    import pandas as pd  # noqa: PLC0415

    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame
