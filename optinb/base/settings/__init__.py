"""The settings of a workspace: `optinb.toml`, checked on opening.

Secrets are never in the file: a key is named by reference (`env:NAME` or `keyring:SERVICE/NAME`) and read when it is
needed.
"""

from optinb.base.settings.identity import current_user, is_reference, read_secret
from optinb.base.settings.reading import load_settings, parse_settings
from optinb.base.settings.sections import (
    ENGINES,
    FILE_NAME,
    PLATFORM_NAMES,
    PLATFORMS,
    TABLE_NAMES,
    AppGroupSettings,
    AppSettings,
    CapSettings,
    ConfirmSection,
    Engine,
    EngineSection,
    FeatureSection,
    ImportSection,
    LifecycleSection,
    LiveContent,
    ModelsSection,
    NetworkSection,
    Platform,
    PolicySection,
    RehearsedGroup,
    SendSection,
    Settings,
    SourceSection,
    Table,
    WorkspaceSection,
)

__all__ = [
    "ENGINES",
    "FILE_NAME",
    "PLATFORMS",
    "PLATFORM_NAMES",
    "TABLE_NAMES",
    "AppGroupSettings",
    "AppSettings",
    "CapSettings",
    "ConfirmSection",
    "Engine",
    "EngineSection",
    "FeatureSection",
    "ImportSection",
    "LifecycleSection",
    "LiveContent",
    "ModelsSection",
    "NetworkSection",
    "Platform",
    "PolicySection",
    "RehearsedGroup",
    "SendSection",
    "Settings",
    "SourceSection",
    "Table",
    "WorkspaceSection",
    "current_user",
    "is_reference",
    "load_settings",
    "parse_settings",
    "read_secret",
]
