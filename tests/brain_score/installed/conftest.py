import os
import subprocess
from pathlib import Path

import pytest

from toposheet.brain_score.subject import BrainScoreSubject


@pytest.fixture(scope="session")
def toposheet_python() -> str:
    return os.environ["TOPOSHEET_PYTHON"]


@pytest.fixture(scope="session")
def models(tmp_path_factory, toposheet_python) -> Path:
    """The folder of small models that `make_models.py` writes."""
    folder = tmp_path_factory.mktemp("models")
    script = Path(__file__).with_name("make_models.py")
    done = subprocess.run([toposheet_python, str(script), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def opened(models):
    """Open a subject. Equal arguments share one process, because a start takes seconds."""
    subjects = {}

    def opened(model="model", mapping=None, **options):
        key = repr((model, mapping, options))
        if key not in subjects:
            folder = models / model if (models / model).exists() else model
            subjects[key] = BrainScoreSubject(folder, mapping, **options)
        subject = subjects[key]
        subject._recordings, subject._task = [], None
        return subject

    yield opened
    for subject in subjects.values():
        subject.close()
