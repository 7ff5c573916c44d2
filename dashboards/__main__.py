"""`python -m dashboards` writes the dashboards into `dashboards/json/`; a test compares what is committed."""

import json
from pathlib import Path

from dashboards import compare, endpoints, generator, live, runs, stack

FOLDER = Path(__file__).with_name("json")


def files() -> dict[str, str]:
    """The text of each file, by its name."""
    pages = [module.page() for module in (live, endpoints, stack, runs, compare, generator)]
    return {f"{page.uid}.json": json.dumps(page.to_json(), indent=2, ensure_ascii=False) + "\n" for page in pages}


def main() -> None:
    """Write them, and remove what is none of them any more."""
    FOLDER.mkdir(exist_ok=True)
    made = files()
    for path in FOLDER.glob("*.json"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"dashboards/json/{name}")


if __name__ == "__main__":
    main()
