"""How values become JSON: compact, in any script, and never NaN, which is no JSON."""

import json

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
