from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import ortho_group
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

import toposheet as ts
from toposheet.subject import Effect, Intervention

IDS = torch.arange(24).reshape(2, 12) % 60
LLAMA_TAPS = ("model.layers.*.self_attn", "model.layers.*.mlp")


def gpt2():
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=60, n_positions=16, n_embd=36, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    model = GPT2LMHeadModel(config).eval()
    return ts.Subject(model, ts.Topography.per_tap(model, seed=0))


def llama():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=60, max_position_embeddings=16, hidden_size=36, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    return ts.Subject(model, ts.Topography.per_tap(model, LLAMA_TAPS, seed=0))


@pytest.fixture(params=[gpt2, llama])
def subject(request):
    return request.param()


def some_units(n=36, seed=0):
    return np.random.default_rng(seed).random(n) < 0.3


def silenced(*taps, units=None):
    effects = {tap: Effect.silence(some_units() if units is None else units) for tap in taps}
    return Intervention("silenced", effects)


def recorded(subject):
    with torch.no_grad(), subject.record() as activations:
        subject(IDS)
    return {tap: values.clone() for tap, values in activations.items()}


def logits_of(subject):
    with torch.no_grad():
        return subject(IDS)


def n_hooks(model):
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_the_chosen_units_of_a_tap_are_silent_and_the_others_are_as_they_were(subject):
    for tap in subject.topography.taps:
        before, after = recorded(subject)[tap], recorded(subject.intervened(silenced(tap)))[tap]
        units = torch.as_tensor(some_units())
        assert (after[..., units] == 0).all()
        assert torch.equal(after[..., ~units], before[..., ~units])
        assert (before[..., units] != 0).all()


def test_what_comes_before_a_silenced_tap_is_untouched_and_what_comes_after_is_not(subject):
    first, last = subject.topography.taps[1], subject.topography.taps[-1]
    before, after = recorded(subject), recorded(subject.intervened(silenced(first)))
    assert torch.equal(after[subject.topography.taps[0]], before[subject.topography.taps[0]])
    assert not torch.equal(after[last], before[last])


def test_logits_are_those_of_a_model_whose_weights_write_nothing_for_these_units():
    subject, reference = gpt2(), gpt2()
    units = some_units()
    for layer in range(2):
        projection = reference.model.transformer.h[layer].mlp.c_proj
        projection.weight.data[:, units] = 0
        projection.bias.data[units] = 0
    lesioned = subject.intervened(silenced("transformer.h.0.mlp", "transformer.h.1.mlp"))
    torch.testing.assert_close(logits_of(lesioned), logits_of(reference))


def test_several_interventions_act_in_their_order():
    tap, ones = "transformer.h.0.mlp", np.ones(36)
    double = Intervention("double", {tap: Effect(2 * ones, 0 * ones)})
    add = Intervention("add", {tap: Effect(ones, np.arange(36.0))})
    subject = gpt2()
    x, shift = recorded(subject)[tap], torch.arange(36.0)
    for interventions, expected in (((double, add), 2 * x + shift), ((add, double), 2 * (x + shift))):
        together = ts.Subject(subject.model, subject.topography, interventions=interventions)
        one_by_one = subject.intervened(interventions[0]).intervened(interventions[1])
        for other in (together, one_by_one, subject.intervened(*interventions)):
            torch.testing.assert_close(recorded(other)[tap], expected)


def test_leaving_gives_back_the_model_to_the_bit_and_leaves_no_hook(subject):
    before = logits_of(subject)
    state = {name: values.clone() for name, values in subject.model.state_dict().items()}
    lesioned = subject.intervened(silenced(*subject.topography.taps))
    with lesioned.running() as model:
        assert n_hooks(model) > 0
        assert not torch.equal(logits_of(lesioned), before)
    assert n_hooks(subject.model) == 0
    assert torch.equal(logits_of(subject), before)
    assert all(torch.equal(values, state[name]) for name, values in subject.model.state_dict().items())


def test_an_error_inside_leaves_no_hook_and_the_model_free(subject):
    lesioned = subject.intervened(silenced(subject.topography.taps[0]))
    with pytest.raises(ZeroDivisionError), lesioned.running():
        raise ZeroDivisionError
    assert n_hooks(subject.model) == 0
    logits_of(lesioned)


def test_units_are_silent_in_whatever_precision_the_model_has():
    subject = gpt2()
    tap, units = "transformer.h.1.mlp", torch.as_tensor(some_units())
    lesioned = subject.intervened(silenced(tap))
    for dtype in (torch.bfloat16, torch.float64):
        subject.model.to(dtype)
        before, after = recorded(subject)[tap], recorded(lesioned)[tap]
        assert after.dtype == dtype
        assert (after[..., units] == 0).all()
        assert torch.equal(after[..., ~units], before[..., ~units])


def test_gradients_pass_through_an_intervention_after_the_model_only_read():
    lesioned = gpt2().intervened(silenced("transformer.h.1.mlp"))
    with lesioned.running() as model:
        with torch.inference_mode():
            model(IDS)
        model(IDS, labels=IDS).loss.backward()
        gradient = model.transformer.h[1].mlp.c_proj.weight.grad
    units = torch.as_tensor(some_units())
    assert (gradient[:, units] == 0).all()
    assert (gradient[:, ~units] != 0).any()


def test_a_tap_that_did_not_run_is_an_error():
    subject = gpt2()
    lesioned = subject.intervened(silenced("transformer.h.1.mlp"))
    block = subject.model.transformer.h[1]
    original, block.mlp.forward = block.mlp.forward, lambda x: x
    block.forward = lambda x, *_args, **_options: x  # somebody skips the layer
    with pytest.raises(RuntimeError, match=r"these taps did not run, .*: transformer\.h\.1\.mlp"):
        lesioned(IDS)
    assert n_hooks(subject.model) == 0
    del block.forward
    block.mlp.forward = original


def test_an_intervened_model_that_was_not_run_is_no_error():
    subject = gpt2()
    with subject.intervened(silenced("transformer.h.1.mlp")).running() as model:
        assert n_hooks(model) > 0
    assert n_hooks(subject.model) == 0


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        ({"transformer.h.9.mlp": Effect(np.ones(36), np.zeros(36))}, r"acts on transformer\.h\.9\.mlp, which has no"),
        (
            {"transformer.h.0.mlp": Effect(np.ones(35), np.zeros(35))},
            r"scale of shape \(35,\) for .*: the shape must be \(36,\)",
        ),
        ({"transformer.h.0.mlp": Effect(np.ones(36), np.full(36, np.nan))}, "a shift with nan or inf"),
        ({"transformer.h.0.mlp": Effect(np.full(36, np.inf), np.zeros(36))}, "a scale with nan or inf"),
    ],
)
def test_an_intervention_that_does_not_fit_is_refused_when_the_subject_is_made(effect, message):
    subject = gpt2()
    with pytest.raises(ValueError, match=message):
        subject.intervened(Intervention("mine", effect))


def test_generate_works_inside_with_a_cache_and_is_that_of_the_lesioned_model():
    subject = gpt2()
    lesioned = subject.intervened(silenced("transformer.h.0.mlp", "transformer.h.1.attn"))
    prompt = IDS[1:, :4]
    with lesioned.running() as model:
        options = {"attention_mask": torch.ones_like(prompt), "pad_token_id": 0, "eos_token_id": None}
        written = model.generate(prompt, max_new_tokens=6, do_sample=False, **options)
    ids = prompt
    for _ in range(6):
        ids = torch.cat([ids, lesioned(ids)[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(written, ids)


@pytest.mark.parametrize("how", ["wrapper", "module", "blocks"])
def test_a_compiled_model_runs_with_its_interventions(how):
    subject = gpt2()
    tap, units = "transformer.h.0.mlp", torch.as_tensor(some_units())
    expected = logits_of(subject.intervened(silenced(tap)))
    compiled = subject.model
    if how == "wrapper":
        compiled = torch.compile(subject.model, backend="eager")
    else:
        for module in [compiled] if how == "module" else compiled.transformer.h:
            module.compile(backend="eager")
    with torch.no_grad():
        plain = compiled(IDS).logits  # Dynamo has seen the model without hooks
    lesioned = ts.Subject(compiled, subject.topography, interventions=[silenced(tap)])
    torch.testing.assert_close(logits_of(lesioned), expected)
    assert (recorded(lesioned)[tap][..., units] == 0).all()
    with torch.no_grad():
        torch.testing.assert_close(compiled(IDS).logits, plain)


@pytest.mark.slow
def test_a_module_that_is_compiled_inside_runs_with_its_interventions_and_without_them_afterwards():
    subject = gpt2()
    before = logits_of(subject)
    lesioned = subject.intervened(silenced("transformer.h.0.mlp"))
    expected = logits_of(lesioned)
    with torch.no_grad(), lesioned.running() as model:
        compiled = torch.compile(model, backend="eager")
        torch.testing.assert_close(compiled(IDS).logits, expected)
    with torch.no_grad():
        torch.testing.assert_close(compiled(IDS).logits, before)
        torch.testing.assert_close(torch.compile(subject.model, backend="eager")(IDS).logits, before)


@pytest.mark.parametrize("interventions", [[], [silenced("transformer.h.0.mlp")]])
def test_what_was_compiled_inside_can_be_recorded_inside_and_afterwards(interventions):
    subject = gpt2().intervened(*interventions)
    expected, activations = logits_of(subject), recorded(subject)
    with torch.no_grad(), subject.running() as model:
        for block in model.transformer.h:
            block.compile(backend="eager")
        torch.testing.assert_close(model(IDS).logits, expected)
        inside = recorded(subject)
        torch.testing.assert_close(model(IDS).logits, expected)
    torch.testing.assert_close(inside, activations)
    torch.testing.assert_close(recorded(subject), activations)


def in_a_basis(subject, *taps):
    """The subject with a basis of some taps, and these bases in float64."""
    bases = {tap: ortho_group.rvs(36, random_state=seed) for seed, tap in enumerate(taps)}
    return ts.Subject(subject.model, replace(subject.topography, bases=bases)), bases


def test_interventions_act_on_units_in_the_basis_of_a_tap_as_a_hook_by_hand_does(subject):
    first, last = subject.topography.taps[1], subject.topography.taps[-1]
    based, bases = in_a_basis(subject, first, last)
    rng = np.random.default_rng(0)
    effects = [{tap: Effect(rng.normal(size=36), rng.normal(size=36)) for tap in (first, last)} for _ in range(2)]
    changed = based.intervened(*(Intervention("mine", one) for one in effects))

    def by_hand(tap):
        q = torch.from_numpy(bases[tap])

        def hook(_module, _inputs, output):
            units = (output[0] if isinstance(output, tuple) else output).double() @ q.T
            for one in effects:
                units = units * torch.from_numpy(one[tap].scale) + torch.from_numpy(one[tap].shift)
            back = (units @ q).float()
            return (back, *output[1:]) if isinstance(output, tuple) else back

        return hook

    handles = [subject.model.get_submodule(tap).register_forward_hook(by_hand(tap)) for tap in (first, last)]
    expected, activations = logits_of(subject), recorded(subject)
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(logits_of(changed), expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(expected, logits_of(subject), atol=1e-2)
    for tap in (first, last):
        units = activations[tap] @ torch.from_numpy(bases[tap]).float().T
        torch.testing.assert_close(recorded(changed)[tap], units, atol=1e-4, rtol=1e-4)


def test_units_of_a_basis_are_silent_and_the_others_as_they_were(subject):
    tap = subject.topography.taps[-1]
    based, _ = in_a_basis(subject, tap)
    before, after = recorded(based)[tap], recorded(based.intervened(silenced(tap)))[tap]
    units = torch.as_tensor(some_units())
    assert after[..., units].abs().max() < 1e-6 < before[..., units].abs().max()
    torch.testing.assert_close(after[..., ~units], before[..., ~units], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_intervention_that_changes_nothing_changes_no_bit_in_a_basis(subject, dtype):
    subject.model.to(dtype)
    tap = subject.topography.taps[0]
    based, _ = in_a_basis(subject, tap)
    nothing = Intervention("nothing", {tap: Effect(np.ones(36), np.zeros(36))})
    assert torch.equal(logits_of(based.intervened(nothing)), logits_of(subject))


def test_gradients_pass_through_an_intervention_in_a_basis_after_the_model_only_read():
    tap = "transformer.h.1.mlp"
    based, bases = in_a_basis(gpt2(), tap)
    with based.intervened(silenced(tap)).running() as model:
        with torch.inference_mode():
            model(IDS)
        model(IDS, labels=IDS).loss.backward()
        gradient = model.transformer.h[1].mlp.c_proj.weight.grad @ torch.from_numpy(bases[tap]).float().T
    units = torch.as_tensor(some_units())
    assert gradient[:, units].abs().max() < 1e-6 < gradient[:, ~units].abs().max()


def test_an_intervention_on_a_residual_stream_changes_what_the_rest_of_the_model_reads():
    one = gpt2()
    taps = ["transformer.h.*.attn>residual", "transformer.h.*.mlp>residual"]
    subject = ts.Subject(one.model, ts.Topography.of(one.model, taps))
    for tap in ("transformer.h.0.attn>residual", "transformer.h.0.mlp>residual"):
        lesioned = subject.intervened(silenced(tap))
        before, after = recorded(subject)[tap], recorded(lesioned)[tap]
        assert (after[..., some_units()] == 0).all()
        assert torch.equal(after[..., ~some_units()], before[..., ~some_units()])
        read = []
        reader = subject.model.transformer.h[0].ln_2 if ".attn" in tap else subject.model.transformer.h[1]
        handle = reader.register_forward_pre_hook(lambda _, inputs, read=read: read.append(inputs[0].clone()))
        with torch.no_grad(), lesioned.running() as model:
            model(IDS)
        handle.remove()
        assert torch.equal(read[0], after)
