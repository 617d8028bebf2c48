"""Write the documentation's Python into a folder, one program a page, for the type checkers: ``python -m … FOLDER``.

The blocks of a page are one program, as the tests run them; blocks of tests, and blocks that are not run, are programs
of their own. The README's blocks and the examples are one program each.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
OTHER_CLIENTS = {
    "how_to_come_from_the_kubernetes_client": (
        '# mypy: disable-error-code="no-untyped-call,union-attr"',
        "# pyright: reportOptionalMemberAccess=false",
    )
}
"""Programs that use another client beside podrunner: what its own types lack is not checked."""
_BLOCK = re.compile(r"(?:<!-- (?P<how>pytest|not run: [^\n]+) -->\n+)?```python\n(?P<code>.*?)```", re.DOTALL)


def programs() -> dict[str, str]:
    """Return the documentation's programs by the name of their file."""
    pages = [page for page in sorted((REPOSITORY / "docs").rglob("*.md")) if "_build" not in page.parts]
    found = {name: code for page in pages for name, code in _of_page(page)}
    readme = [match["code"] for match in _blocks(REPOSITORY / "README.md")]
    found |= {f"readme_{number}": code for number, code in enumerate(readme)}
    examples = sorted((REPOSITORY / "examples").glob("*.py"))
    return found | {
        path.stem: path.read_text(encoding="utf-8") for path in examples
    }  # they import each other


def _blocks(page: Path) -> list[re.Match[str]]:
    return list(_BLOCK.finditer(page.read_text(encoding="utf-8")))


def _of_page(page: Path) -> list[tuple[str, str]]:
    name = f"{page.parent.name}_{page.stem}".replace("-", "_")
    blocks = _blocks(page)
    together = "\n".join(block["code"] for block in blocks if block["how"] is None)
    apart = [block["code"] for block in blocks if block["how"] is not None]
    alone = [(f"{name}_{number}", code) for number, code in enumerate(apart)]
    return [(name, together), *alone] if together else alone


def write(folder: Path) -> None:
    """Write each program into the folder, and remove those of an earlier run."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.py"):
        old.unlink()
    for name, code in programs().items():
        text = "\n".join([*OTHER_CLIENTS.get(name, ()), code])
        (folder / f"{name}.py").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
