import numpy as np
import pytest

import toposheet as ts
from toposheet.cortex.localizer import save_localizer
from toposheet.errors import NotFound, UserError
from toposheet.interventions.named import read_region

TAP = "transformer.h.0.mlp"


def units_of(region, subject):
    return np.concatenate(
        [region._masks(subject).get(tap, np.zeros(36, dtype=bool)) for tap in subject.topography.taps]
    )


@pytest.mark.parametrize(
    ("text", "region"),
    [
        (f"disc:{TAP}:2:3.5:2", ts.Disc(TAP, 2, 3.5, 2)),
        (f"sheet:{TAP}", ts.WholeSheet(TAP)),
        (f" tap:{TAP} ", ts.WholeTap(TAP)),
        (f"tap:{TAP} - disc:{TAP}:2:3:2", ts.WholeTap(TAP) - ts.Disc(TAP, 2, 3, 2)),
        (
            f"disc:{TAP}:2:2:2 & disc:{TAP}:2:4:2 | disc:{TAP}:5:5:0",
            (ts.Disc(TAP, 2, 2, 2) & ts.Disc(TAP, 2, 4, 2)) | ts.Disc(TAP, 5, 5, 0),
        ),
    ],
)
def test_a_region_is_read_from_text(subject, text, region):
    np.testing.assert_array_equal(units_of(read_region(text), subject), units_of(region, subject))


def test_networks_and_clusters_are_read_from_a_localizer(subject, stimuli, tmp_path):
    comparison = ts.Comparison(ts.respond(subject, stimuli), "long", "short")
    localizer = ts.localize(comparison, percent=40.0, model=subject.fingerprint)
    at = tmp_path / "a-b.nc"  # this is no operator, for it has no spaces around it
    save_localizer(localizer, at)
    network = read_region(f"localizer:{at}")
    np.testing.assert_array_equal(units_of(network, subject), localizer["mask"].values)
    clusters = ts.grow_clusters(localizer)
    assert clusters.max() > 1
    np.testing.assert_array_equal(units_of(read_region(f"cluster:{at}:2"), subject), clusters.values == 2)
    with pytest.raises(UserError, match="there is no cluster 99"):
        read_region(f"cluster:{at}:99")
    subject.model.transformer.wte.weight.data[0] += 1
    for text in (f"localizer:{at}", f"cluster:{at}:2"):
        with pytest.raises(UserError, match="were selected with another model"):
            read_region(text).units(subject)


@pytest.mark.parametrize(
    "text",
    ["", "disc", "disc:", "disc:a:1:2", "disc:a:one:2:3", "ball:a:1:2:3", "cluster:a:b", "tap:a - b"],
)
def test_what_is_no_region_is_refused_in_one_line(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"is no region: write|there is no localizer") as refused:
        read_region(text)
    assert "\n" not in str(refused.value)


def test_an_operator_without_spaces_is_named():
    with pytest.raises(UserError, match=r"has an operator without spaces: write A \| B"):
        read_region("tap:a|tap:b")


def test_a_missing_localizer_is_named(tmp_path):
    with pytest.raises(NotFound, match="there is no localizer"):
        read_region(f"localizer:{tmp_path / 'none.nc'}")
