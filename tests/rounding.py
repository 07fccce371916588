"""How far the nearest number of a dtype may lie from another, as a share of it: half a unit in the last place."""

from __future__ import annotations

import torch

EPS = {torch.float32: 2.0**-24, torch.float64: 2.0**-53, torch.bfloat16: 2.0**-9, torch.float16: 2.0**-11}
# Of sums: terms are added in float32 unless they are float64.
SUM_EPS = {dtype: min(eps, EPS[torch.float32]) for dtype, eps in EPS.items()}
