import numpy as np
import pytest
import torch
from tests.architectures.families import CONFIGS, random_model
from transformers import RwkvConfig, RwkvForCausalLM

import toposheet as ts
from toposheet.errors import UserError

TAP, OTHER = "transformer.h.0.mlp", "transformer.h.1.attn"
IDS = torch.arange(24).reshape(2, 12)


def recorded(subject, ids=IDS, **options):
    with torch.no_grad(), subject.record() as activations:
        subject(ids, **options)
    return {tap: x.clone() for tap, x in activations.items()}


def logits(subject, ids=IDS, **options):
    with torch.no_grad():
        return subject(ids, **options)


@pytest.fixture
def region():
    return ts.Disc(TAP, 2, 2, 2) | ts.Disc(OTHER, 4, 4, 1)


@pytest.fixture
def texts(stimuli):
    return stimuli["text"].tolist()


def activations_over(subject, texts, tap):
    """All activations of a tap over the tokens of texts, one text at a time."""
    rows = []
    for text in texts:
        rows.append(recorded(subject, torch.tensor([subject.tokenizer(text).input_ids]))[tap][0])
    return torch.cat(rows).double().numpy()


def test_the_activity_of_units_is_that_of_one_text_at_a_time(subject, texts):
    activity = ts.unit_activity(subject, texts, batch_size=4)
    for tap in subject.topography.taps:
        values = activations_over(subject, texts, tap)
        assert activity.n_tokens == len(values)
        np.testing.assert_allclose(activity.mean[tap], values.mean(axis=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(activity.sd[tap], values.std(axis=0), rtol=1e-4, atol=1e-6)


def test_the_first_token_can_be_left_out_of_the_activity(subject, texts):
    activity = ts.unit_activity(subject, texts, reading=ts.Reading(skip_first=True))
    later = [recorded(subject, torch.tensor([subject.tokenizer(text).input_ids]))[TAP][0, 1:] for text in texts]
    np.testing.assert_allclose(activity.mean[TAP], torch.cat(later).double().mean(dim=0), rtol=1e-4, atol=1e-6)


def test_a_lesion_to_zero_silences_exactly_the_chosen_units(subject, region):
    before, after = recorded(subject), recorded(ts.lesion(subject, region))
    for tap, mask in region.units(subject).items():
        assert (after[tap][..., mask] == 0).all()
        assert (before[tap][..., mask] != 0).any()
    first = region.units(subject)[TAP]
    assert torch.equal(after[TAP][..., ~first], before[TAP][..., ~first])


def test_a_lesion_to_the_mean_holds_units_at_their_mean(subject, region, texts):
    activity = ts.unit_activity(subject, texts)
    after = recorded(ts.lesion(subject, region, to="mean", texts=texts))
    for tap, mask in region.units(subject).items():
        expected = torch.tensor(activity.mean[tap][mask], dtype=torch.float32).expand(2, 12, -1)
        assert torch.equal(after[tap][..., mask], expected)


def test_a_lesion_to_noise_keeps_mean_and_variance(subject, texts):
    activity, units = ts.unit_activity(subject, texts), np.ones(36, dtype=bool)
    drawn = []
    for seed in range(200):
        lesioned = ts.lesion(subject, ts.WholeTap(TAP), to="noise", texts=texts, seed=seed)
        drawn.append(recorded(lesioned)[TAP][0][:, units].numpy())
    z = (np.concatenate(drawn) - activity.mean[TAP]) / activity.sd[TAP]  # 2,400 draws of each unit
    assert np.abs(z.mean(axis=0)).max() < 4 / np.sqrt(2400)
    assert np.abs(z.var(axis=0) - 1).max() < 4 * np.sqrt(2 / 2400)
    positions = np.stack(drawn)  # seeds, positions, units
    assert positions.std(axis=0).min() > 0
    assert abs(np.corrcoef(z[:-1, 0], z[1:, 0])[0, 1]) < 0.08


def test_the_noise_of_a_token_depends_on_neither_its_batch_nor_padding_nor_the_cache(subject, texts):
    lesioned = ts.lesion(subject, ts.WholeTap(TAP), to="noise", texts=texts, seed=3)
    whole = recorded(lesioned)[TAP]
    assert torch.equal(whole[0], whole[1])
    assert not torch.equal(whole[0, 0], whole[0, 1])
    assert torch.equal(recorded(lesioned, IDS[1:])[TAP][0], whole[1])
    left = torch.cat([torch.zeros(2, 3, dtype=torch.long), IDS], dim=1)
    mask = torch.cat([torch.zeros(2, 3, dtype=torch.long), torch.ones_like(IDS)], dim=1)
    assert torch.equal(recorded(lesioned, left, attention_mask=mask)[TAP][:, 3:], whole)
    with torch.no_grad(), lesioned.running() as model, lesioned.record() as activations:
        start = model(IDS[:, :7], use_cache=True)
        assert torch.equal(activations[TAP], whole[:, :7])
        model(IDS[:, 7:9], past_key_values=start.past_key_values, use_cache=True)
        assert torch.equal(activations[TAP], whole[:, 7:9])
        model(IDS[:, 9:], past_key_values=start.past_key_values, attention_mask=torch.ones_like(IDS))
        assert torch.equal(activations[TAP], whole[:, 9:])


def test_noise_differs_by_tap_and_by_seed_and_goes_on_for_long_texts(subject, texts):
    both = ts.WholeTap(TAP) | ts.WholeTap(OTHER)
    activity = ts.unit_activity(subject, texts)

    def z(seed, ids):
        values = recorded(ts.lesion(subject, both, to="noise", texts=texts, seed=seed), ids)
        return {tap: (values[tap].numpy() - activity.mean[tap]) / activity.sd[tap] for tap in (TAP, OTHER)}

    ids = torch.arange(48)[None]
    one, other = z(0, ids), z(1, ids)
    assert abs(np.corrcoef(one[TAP].ravel(), one[OTHER].ravel())[0, 1]) < 0.1
    assert abs(np.corrcoef(one[TAP].ravel(), other[TAP].ravel())[0, 1]) < 0.1
    np.testing.assert_allclose(z(0, ids[:, :5])[TAP], one[TAP][:, :5], atol=1e-6)


def test_generation_from_noise_with_a_cache_is_that_without(subject, texts):
    lesioned = ts.lesion(subject, ts.WholeTap(TAP), to="noise", texts=texts)
    prompt = IDS[:, :4]
    with lesioned.running() as model:
        options = {"attention_mask": torch.ones_like(prompt), "pad_token_id": 0, "eos_token_id": None}
        written = model.generate(prompt, max_new_tokens=6, do_sample=False, **options)
    ids = prompt
    for _ in range(6):
        ids = torch.cat([ids, logits(lesioned, ids)[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(written, ids)


def test_lesions_compose_and_the_second_measures_what_the_first_left(subject, texts):
    first = ts.lesion(subject, ts.WholeTap(TAP))
    both = ts.lesion(first, ts.WholeTap(OTHER), to="mean", texts=texts)
    expected = activations_over(first, texts, OTHER).mean(axis=0)
    after = recorded(both)
    assert (after[TAP] == 0).all()
    np.testing.assert_allclose(after[OTHER][0, 0], expected, rtol=1e-4, atol=1e-6)
    assert both.intact.model is subject.model
    assert not both.intact.interventions


def test_the_fingerprint_knows_how_units_were_lesioned(subject, region, texts):
    prints = [subject.fingerprint, ts.lesion(subject, region).fingerprint]
    prints += [ts.lesion(subject, region, to=to, texts=texts).fingerprint for to in ("mean", "noise")]
    prints += [ts.lesion(subject, region, to="noise", texts=texts, seed=1).fingerprint]
    prints += [ts.lesion(subject, region, as_published=True).fingerprint]
    assert len(set(prints)) == len(prints)
    assert ts.lesion(subject, region, to="noise", texts=texts, seed=1).fingerprint == prints[4]


@pytest.mark.parametrize("tap", ["transformer.h.0.attn", "transformer.h.0.mlp", "transformer.h.1.mlp"])
def test_a_published_lesion_is_a_model_whose_next_layer_has_no_weights_for_the_units(subject, tap):
    region = ts.Disc(tap, 2, 2, 2)
    mask, before = torch.tensor(region.units(subject)[tap]), logits(subject)
    lesioned = logits(ts.lesion(subject, region, as_published=True))
    blocks = subject.model.transformer.h
    if tap == "transformer.h.1.mlp":
        with torch.no_grad():
            hidden = subject.model.transformer(IDS).last_hidden_state
            expected = (hidden * ~mask) @ subject.model.lm_head.weight.T
    else:
        following = blocks[0].mlp.c_fc if tap.endswith("attn") else blocks[1].attn.c_attn
        following.weight.data[mask] = 0
        expected = logits(subject)
    torch.testing.assert_close(lesioned, expected)
    assert not torch.allclose(lesioned, before, atol=1e-3)


def test_a_published_lesion_leaves_what_the_tap_puts_out(subject):
    before, after = recorded(subject), recorded(ts.lesion(subject, ts.WholeTap(TAP), as_published=True))
    assert torch.equal(before[TAP], after[TAP])
    assert not torch.equal(before[OTHER], after[OTHER])


@pytest.mark.parametrize("family", CONFIGS)
def test_in_every_family_a_lesion_silences_exactly_its_units_and_leaving_it_restores_the_logits(family):
    network = random_model(family)
    subject = ts.Subject(network, ts.Topography.per_tap(network, seed=0))
    rng = np.random.default_rng(0)
    mask = ts.Mask("some", {tap: rng.random(n) < 0.4 for tap, n in subject.topography.widths.items()})
    state = {name: x.clone() for name, x in network.state_dict().items()}
    intact_logits, intact = logits(subject), recorded(subject)
    lesioned = ts.lesion(subject, mask)
    after = recorded(lesioned)
    for tap, units in mask.units(subject).items():
        assert (after[tap][..., units] == 0).all()
        assert (intact[tap][..., units] != 0).any(dim=(0, 1)).all()
        alone = recorded(ts.lesion(subject, mask & ts.WholeTap(tap)))[tap]
        assert torch.equal(alone[..., ~units], intact[tap][..., ~units])
    assert not torch.equal(logits(lesioned), intact_logits)
    assert torch.equal(logits(subject), intact_logits)
    assert all(torch.equal(x, state[name]) for name, x in network.state_dict().items())


@pytest.mark.parametrize("family", CONFIGS)
def test_in_every_family_noise_is_added_at_the_right_tokens(family):
    network = random_model(family)
    subject = ts.Subject(network, ts.Topography.per_tap(network, seed=0))
    tap, width = next(iter(subject.topography.widths.items()))
    effect = ts.Effect(np.zeros(width), np.zeros(width), np.ones(width), seed=5)
    noise = recorded(subject.intervened(ts.Intervention("noise", {tap: effect})))[tap]
    assert torch.equal(noise[0], noise[1])
    assert noise[0].unique().numel() == noise[0].numel()
    shorter = recorded(subject.intervened(ts.Intervention("noise", {tap: effect})), IDS[:1, :5])[tap]
    assert torch.equal(shorter[0], noise[0, :5])


@pytest.mark.parametrize("family", ["gpt_neox", "llama", "phi", "opt"])
def test_a_published_lesion_exists_only_where_the_next_module_reads_the_tap(family):
    network = random_model(family)
    subject = ts.Subject(network, ts.Topography.per_tap(network, seed=0))
    attention = ts.WholeTap(next(tap for tap in subject.topography.taps if "att" in tap))
    if family == "llama":
        assert not torch.equal(logits(ts.lesion(subject, attention, as_published=True)), logits(subject))
    else:
        with pytest.raises(UserError, match=r"does not read what this attention puts out|is not one module"):
            ts.lesion(subject, attention, as_published=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "mean", "texts": []}, "the table of stimuli is empty"),
        ({"to": "mean", "as_published": True}, "leave out one of the two"),
        ({"to": "noise", "seed": -1}, "seed"),
    ],
)
def test_a_wrong_lesion_is_refused_in_one_line(subject, region, options, message):
    with pytest.raises(UserError, match=message) as refused:
        ts.lesion(subject, region, **options)
    assert "\n" not in str(refused.value)


def test_noise_is_refused_where_a_cache_does_not_say_its_length():
    config = RwkvConfig(vocab_size=60, context_length=16, hidden_size=16, num_hidden_layers=2)
    subject = ts.Subject(network := RwkvForCausalLM(config).eval(), ts.Topography.per_tap(network, seed=0))
    tap = subject.topography.taps[0]
    noisy = subject.intervened(ts.Intervention("noise", {tap: ts.Effect(*np.zeros((2, 16)), np.ones(16))}))
    with torch.no_grad(), noisy.running() as model:
        first = model(IDS[:, :6], use_cache=True)
        with pytest.raises(UserError, match=r"its cache ends.*use_cache=False"):
            model(IDS[:, 6:], state=first.state)
