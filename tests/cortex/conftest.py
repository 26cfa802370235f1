import pytest
from tests.cortex.planted import cortex


@pytest.fixture
def topo():
    return cortex(n_taps=2)
