"""Write the pages of docs/ that follow from the code, or check that they are up to date.

``python docs/make.py`` writes them; with ``--check`` nothing is written, and the exit status is 1
if a page is stale or a link in a Markdown file leads nowhere.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gradcheck.rules import ORDER, rules

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]+\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")
FAMILIES = {"V": "Value", "G": "Gradient", "N": "Numerics", "S": "Side effects", "R": "Robustness"}


def rules_page() -> str:
    """Every rule with its explanation, by family."""
    known = rules()
    parts = ["# Rules\n\nWritten by `python docs/make.py` from the rules themselves; `gradcheck explain CODE` prints the same.\n"]
    for letter, family in FAMILIES.items():
        parts.append(f"## {family}\n")
        for code in sorted(c for c in ORDER if c in known and c[0] == letter):
            parts.append(f"### {code} {known[code].title}\n\nSeverity: {known[code].severity}.\n\n{_markdown(known[code].doc)}\n")
    return "\n".join(parts)


def _markdown(doc: str) -> str:
    """A rule's docstring: its samples, indented below "Wrong:" and "Right:", as Markdown code."""
    return re.sub(r"^(Wrong|Right):\n", r"\1:\n\n", doc, flags=re.MULTILINE)


PAGES = {"docs/rules.md": rules_page}


def dead_links() -> list[str]:
    found = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                found.append(f"{page.relative_to(ROOT)}: the link to {target} leads nowhere")
    return found


def main(check: bool) -> int:
    wrong = []
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if not check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            wrong.append(f"{name} is stale; run: python docs/make.py")
    wrong += dead_links()
    print("\n".join(wrong) or f"{len(PAGES)} generated page(s) and all links are right")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
