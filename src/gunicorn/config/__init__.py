"""Settings: what they are, where they come from, and what they are set to.

`gunicorn.config.settings` declares them. `Config` holds their values, which the modules `cli`,
`file` and `sources` bring in from outside, weakest source first. `AccessLogFormat` is the
declaration of one setting, for worker classes that want to know its default.
"""

from gunicorn.config.config import Config, UnknownSettingError
from gunicorn.config.setting import Setting
from gunicorn.config.settings.logs import ACCESS_LOG_FORMAT as AccessLogFormat  # noqa: N811 - others know it as a class

__all__ = ["AccessLogFormat", "Config", "Setting", "UnknownSettingError"]
