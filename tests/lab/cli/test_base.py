"""`--base` of `bct chat` and `bct serve`: the base of an adapter made elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from plain_adapter import plain_adapter

from lab.cli.main import main
from lab.cli.serve import offered
from serving import refs
from serving.errors import BadInput


def test_an_adapter_sits_on_the_base_that_is_named(tmp_path: Path) -> None:
    adapter = str(plain_adapter(tmp_path / "adapter", base="/not/here"))
    refused = CliRunner().invoke(main, ["chat", adapter], input="/quit\n")
    assert refused.exit_code == 2
    assert "the base in its adapter_config.json was not found" in refused.output
    talked = CliRunner().invoke(main, ["chat", adapter, "--base", "mini"], input="/quit\n")
    assert talked.exit_code == 0, talked.output
    with pytest.raises(BadInput, match="base"):
        offered([adapter], [])
    served = offered([adapter, "mini"], [], "mini")
    assert served[adapter].fingerprint == refs.resolve(adapter, "mini").fingerprint
    assert served["mini"].kind == "full"
