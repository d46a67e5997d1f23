"""Settings: what they are, where they come from, and what they are set to.

`gunicorn.config.settings` declares them. `Config` holds their values, which the modules `cli`,
`file` and `sources` bring in from outside, weakest source first.
"""

from gunicorn.config.config import Config, UnknownSettingError
from gunicorn.config.setting import Setting

__all__ = ["Config", "Setting", "UnknownSettingError"]
