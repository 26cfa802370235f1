"""Values of a wrong type are refused at the door of every public function."""

import subprocess
import sys
from pathlib import Path


def test_a_value_of_a_wrong_type_is_refused_in_one_line_by_every_public_function():
    script = Path(__file__).with_name("wrong_types.py")  # out of here, where types are checked before
    done = subprocess.run([sys.executable, "-W", "ignore", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-2000:]
