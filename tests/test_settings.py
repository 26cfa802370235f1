import re

import pytest

from toposheet.settings import Settings


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fwhm_mm": (2.0, -1.0)}, "the readout's FWHM is -1.0: it must be a finite number of at least 0"),
        ({"fwhm_mm": (float("nan"),)}, "the readout's FWHM is nan"),
        ({"permutations": 1}, "permutations is 1: it must be at least 2"),
        ({"seed": -1}, "seed is -1: it must be at least 0"),
        ({"forming_p": 1.0}, "forming_p is 1.0: it must be larger than 0 and smaller than 1"),
        ({"min_size": 0}, "min_size is 0: it must be at least 1 unit"),
        ({"inference": "fdr"}, "inference is 'fdr': it must be one of mass, tfce"),
        ({"contiguity": "bishop"}, "contiguity is 'bishop': it must be one of queen, rook"),
    ],
)
def test_a_setting_out_of_range_is_refused(changed, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Settings(**changed)


def test_raw_maps_are_always_there_and_come_first():
    assert Settings().readouts == (0.0, 2.0)
    assert Settings(fwhm_mm=(0.0,)).readouts == (0.0,)
    assert Settings(fwhm_mm=(4.0, 0.0, 2.0, 4.0)).readouts == (0.0, 4.0, 2.0)
