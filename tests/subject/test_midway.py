import numpy as np
import pytest
import torch
from tests.architectures.families import CONFIGS, random_model
from transformers import AlbertConfig, AlbertForMaskedLM

import toposheet as ts
from toposheet.subject.midway import Midway

IDS = torch.arange(24).reshape(2, 12)


def logits(subject):
    with torch.no_grad():
        return subject(IDS)


def interventions(subject, seed=0):
    """For each tap, a silenced third of its units, and a current into a fifth of them."""
    rng = np.random.default_rng(seed)
    for tap, width in subject.topography.widths.items():
        mask = rng.random(width) < 0.3
        effects = [ts.Effect.silence(mask), ts.Effect(np.ones(width), 3.0 * (rng.random(width) < 0.2))]
        yield [ts.Intervention(tap, {tap: effect}) for effect in effects]


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("lesioned", [False, True])
def test_a_pass_that_begins_in_the_middle_is_the_whole_pass_to_the_bit(family, lesioned):
    network = random_model(family)
    subject = ts.Subject(network, ts.Topography.per_tap(network, seed=0))
    if lesioned:  # each tap has an intervention before
        subject = subject.intervened(*(both[1] for both in interventions(subject, seed=1)))
    expected, cases = logits(subject), list(interventions(subject))
    midway = Midway(network, subject.topography, subject.interventions)
    with torch.no_grad(), midway.batch(lambda: network(IDS, use_cache=False).logits) as (result, again):
        assert torch.equal(result, expected)
        for case in cases:
            assert torch.equal(again(case), logits(subject.intervened(*case)))
        assert torch.equal(again([]), expected)
        all_of_them = [intervention for case in cases for intervention in case]
        assert torch.equal(again(all_of_them), logits(subject.intervened(*all_of_them)))
    assert torch.equal(logits(subject), expected)
    assert not any("forward" in vars(module) for module in network.modules())


def test_blocks_below_an_intervention_do_not_run_again(subject):
    network, topo = subject.model, subject.topography
    cases = list(interventions(subject))
    with torch.no_grad(), Midway(network, topo).batch(lambda: network(IDS, use_cache=False).logits) as (_, again):
        ran = [n_mlps_run(network, lambda case=case: again(case)) for case in cases]
    assert ran == [2 if ".0." in tap else 1 for tap in topo.taps]


def n_mlps_run(network, run):
    counts = []
    handles = [block.mlp.register_forward_hook(lambda *_: counts.append(1)) for block in network.transformer.h]
    run()
    for handle in handles:
        handle.remove()
    return len(counts)


@pytest.mark.parametrize("tap", ["transformer.h.0.mlp", "transformer.h.1.attn", "transformer.h.1.mlp"])
def test_effects_on_what_the_next_module_reads_begin_there(subject, tap):
    network, topo = subject.model, subject.topography
    silent = ts.Intervention("input", {tap: ts.Effect.silence(np.arange(36) < 20, "input")})
    both = [silent, *next(interventions(subject))]
    with torch.no_grad(), Midway(network, topo).batch(lambda: network(IDS, use_cache=False).logits) as (_, again):
        for case in ([silent], both):
            assert torch.equal(again(case), logits(subject.intervened(*case)))
    with_it = Midway(network, topo, [silent])
    with torch.no_grad(), with_it.batch(lambda: network(IDS, use_cache=False).logits) as (_, again):
        for case in interventions(subject):
            assert torch.equal(again(case), logits(subject.intervened(silent, *case)))


def test_residual_taps_that_already_have_a_current_get_it_once(subject):
    taps = ["transformer.h.*.mlp>residual", "transformer.h.*.attn>residual"]
    topo = ts.Topography.per_tap(subject.model, taps, seed=0)
    streams = ts.Subject(subject.model, topo)
    streams = streams.intervened(*(both[1] for both in interventions(streams, seed=1)))
    midway = Midway(subject.model, topo, streams.interventions)
    with torch.no_grad(), midway.batch(lambda: subject.model(IDS, use_cache=False).logits) as (_, again):
        for case in interventions(streams):
            torch.testing.assert_close(again(case), logits(streams.intervened(*case)), rtol=0, atol=0)


def test_a_block_that_runs_for_all_layers_begins_at_the_bottom():
    sizes = {"embedding_size": 16, "hidden_size": 16, "intermediate_size": 32}
    config = AlbertConfig(vocab_size=60, num_hidden_layers=3, num_attention_heads=2, **sizes)
    network = AlbertForMaskedLM(config).eval()
    topo = ts.Topography.per_tap(network, ["albert.encoder.embedding_hidden_mapping_in"], seed=0)
    subject = ts.Subject(network, topo)
    (case,) = interventions(subject)
    with torch.no_grad(), Midway(network, topo).batch(lambda: network(IDS).logits) as (_, again):
        assert torch.equal(again(case), logits(subject.intervened(*case)))


def test_an_error_inside_leaves_the_blocks_as_they_were(subject):
    network, case = subject.model, list(interventions(subject))[-1]
    calls = []

    def run():
        calls.append(1)
        if len(calls) == 2:
            raise ZeroDivisionError
        return network(IDS, use_cache=False).logits

    with torch.no_grad(), Midway(network, subject.topography).batch(run) as (result, again):
        with pytest.raises(ZeroDivisionError):
            again(case)
        assert torch.equal(again([]), result)
    assert not any("forward" in vars(module) for module in network.modules())
