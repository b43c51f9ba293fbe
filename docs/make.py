"""Write the pages of docs/ that follow from the code, or check that they are up to date.

``python docs/make.py`` writes them; with ``--check`` nothing is written, and the exit status is 1
if a page is stale or a link in a Markdown file leads nowhere.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gradcheck.catalog import load
from gradcheck.domains import Domain, Option, Real
from gradcheck.function_spec import FunctionSpec
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


def catalog_page() -> str:
    """Every spec: its formula, derivative and source, the domain of its arguments, its laws and exhibits."""
    specs = list(load().specs.values())
    families: dict[str, list[FunctionSpec]] = {}
    for spec in specs:
        families.setdefault(spec.family, []).append(spec)
    exhibits = sum(len(spec.exhibits) for spec in specs)
    parts = [
        "# Catalog\n\nWritten by `python docs/make.py` from the specs themselves. "
        f"{len(specs)} functions, {sum(len(spec.laws) for spec in specs)} laws, {exhibits} exhibits; "
        "each is checked three ways by `gradcheck run`. Arguments that are not differentiated are data.\n",
        *(f"- **{family}**: {', '.join(f'[{s.name}](#{s.name})' for s in members)}" for family, members in families.items()),
    ]
    for family, members in families.items():
        parts.append(f"\n## {family[0].upper()}{family[1:]}\n")
        parts += [_entry(spec) for spec in sorted(members, key=lambda s: s.name)]
    return "\n".join(parts)


def _entry(spec: FunctionSpec) -> str:
    path = f"specs/{Path(spec.path).name}"  # an installed catalog lies elsewhere
    rows = "\n".join(f"| `{name}` | {_domain(domain)} |" for name, domain in spec.arguments.items())
    sound = f"Sound in {', '.join(spec.dtypes)}; [{path}](../{path})."
    lists = [("Laws", [law.title for law in spec.laws]), ("Exhibits", [f"{e.title} ({', '.join(e.expects)})" for e in spec.exhibits])]
    shown = "".join(f"\n{title}:\n\n" + "".join(f"- {_literal(line)}\n" for line in lines) for title, lines in lists if lines)
    return f"### {spec.name}\n\n{_literal(spec.doc)}\n\n| argument | domain |\n| --- | --- |\n{rows}\n\n{sound}\n{shown}"


def _literal(text: str) -> str:
    """Text in which Markdown finds no emphasis and no HTML."""
    return re.sub(r"([*_<|])(?![^`]*`(?:[^`]*`[^`]*`)*[^`]*$)", r"\\\1", text)


def _domain(domain: Domain) -> str:
    """The shape, the values and the use of an argument, in words."""
    if isinstance(domain, Option):
        return "an option: " + ", ".join(f"`{value!r}`" for value in domain.values)
    shape = f"({', '.join(domain.dims)})" if domain.dims else "a number"
    words = [type(domain).__name__.strip("_").lower(), shape.replace("*", "\\*")]
    if isinstance(domain, Real):
        edges = [f"{'at least' if domain.closed else 'above'} {domain.low:g}"] if domain.low is not None else []
        edges += [f"{'at most' if domain.closed else 'below'} {domain.high:g}"] if domain.high is not None else []
        words += [" and ".join(edges)] if edges else []
        words += [f"kinks at {', '.join(f'{k:g}' for k in domain.kinks)}"] if domain.kinks else []
        words += ["of a shape that broadcasts"] if domain.broadcast else []
    return ", ".join(words) + ("" if domain.differentiable else "; data")


PAGES = {"docs/rules.md": rules_page, "docs/catalog.md": catalog_page}


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
