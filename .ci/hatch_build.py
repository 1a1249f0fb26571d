"""What a build packs beside the code: the files that pyproject.toml lists, and notebooks without their outputs."""

import importlib.util
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ListedFiles(BuildHookInterface):
    """Adds each listed file; whatever else lies beside them, or in a notebook's outputs, stays here."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":  # which works with this folder itself
            return
        root, self.scratch = Path(self.root), TemporaryDirectory()
        # by its path: importing optinb would need all that it depends on
        spec = importlib.util.spec_from_file_location("stripped", root / "optinb" / "base" / "stripped.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        prefix = "optinb/share/" if self.target_name == "wheel" else ""
        for name in self.config["files"]:
            source = root / name
            if source.suffix == ".ipynb":
                clean = Path(self.scratch.name, name)
                clean.parent.mkdir(parents=True, exist_ok=True)
                clean.write_bytes(module.stripped(source.read_bytes()))
                source = clean
            build_data["force_include"][str(source)] = prefix + name

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if version != "editable":
            self.scratch.cleanup()
