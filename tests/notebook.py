"""The notebook of the examples: run it, and keep its output in the file.

python tests/notebook.py
"""

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

PATH = Path(__file__).parent.parent / "examples" / "explore.ipynb"


def read() -> nbformat.NotebookNode:
    notebook: nbformat.NotebookNode = nbformat.read(PATH, as_version=4)
    return notebook


def executed() -> nbformat.NotebookNode:
    """Return the notebook with the output of a new run, in which local time is UTC."""
    os.environ["TZ"] = "UTC"  # the kernel inherits it
    notebook = read()
    NotebookClient(notebook, timeout=60).execute()
    for cell in notebook.cells:
        cell.metadata.clear()  # the times of the run
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> list[dict[str, str]]:
    """Return each output as texts by MIME type; those of images are base64."""
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {"text/plain": output.get("text", "")})
            found.append({kind: "".join(text) for kind, text in data.items()})
    return found


if __name__ == "__main__":
    nbformat.write(executed(), PATH)
