import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_module_whose_signatures_name_axes_is_checked_in_the_tests():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    (packages,) = (option.partition("=")[2] for option in options if option.startswith("--jaxtyping-packages="))
    *checked, checker = packages.split(",")
    assert checker == "beartype.beartype"
    source = ROOT / "src"
    named = [path for path in source.rglob("*.py") if "from jaxtyping import" in path.read_text()]
    modules = [".".join(path.relative_to(source).with_suffix("").parts) for path in named]
    assert len(modules) > 40
    assert [name for name in modules if not any(f"{name}.".startswith(f"{package}.") for package in checked)] == []
