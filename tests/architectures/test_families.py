"""Every family against one oracle: what is recorded, what is trained, what is stored."""

import numpy as np
import pytest
import torch
from tests.architectures.families import CONFIGS, CONTEXT, WIDTH, random_model
from torch.nn import functional

import toposheet as ts
from toposheet.architectures import architecture_of
from toposheet.architectures.attention import BLOCK_ATTENTION, attention, block_attention
from toposheet.train import task
from toposheet.train.task import NextToken, relative_loss_difference

OWN_ATTENTION = {"mistral", "gemma2", "bloom", "mpt", "falcon"}  # a window, soft caps, biases of positions, its own way


@pytest.fixture(params=CONFIGS)
def family(request):
    return request.param


@pytest.fixture
def network(family):
    return random_model(family)


@pytest.fixture
def blocks():
    return torch.randint(300, (3, 21), generator=torch.Generator().manual_seed(0))


def oracle(network, taps, tokenizer, text):
    """Return the mean over own tokens of what each tap puts out, one text at a time, every value cloned at once."""
    kept = {}

    def keep(tap):
        def hook(_module, _inputs, output):
            kept[tap] = (output[0] if isinstance(output, tuple) else output).detach().clone()

        return hook

    handles = [network.get_submodule(tap).register_forward_hook(keep(tap)) for tap in taps]
    with torch.no_grad():
        network(torch.tensor([tokenizer(text).input_ids]))
    for handle in handles:
        handle.remove()
    return torch.cat([kept[tap].reshape(-1, kept[tap].shape[-1]).mean(dim=0) for tap in taps]).numpy()


def test_responses_are_those_of_one_text_at_a_time(network, stimuli, tokenizer):
    subject = ts.Subject(network, ts.Topography.per_tap(network), tokenizer)
    responses = ts.respond(subject, stimuli)
    expected = np.stack([oracle(network, subject.topography.taps, tokenizer, text) for text in stimuli["text"]])
    assert expected.std() > 1e-3
    np.testing.assert_allclose(responses, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_taps_put_out_all_that_blocks_add_to_the_residual_stream(network):
    topo = ts.Topography.per_tap(network)
    assert len(topo.taps) == 4
    assert set(topo.widths.values()) == {WIDTH}
    nothing = {tap: ts.Effect.silence(np.ones(WIDTH, dtype=bool)) for tap in topo.taps}
    silenced = ts.Subject(network, topo, interventions=[ts.Intervention("all", nothing)])
    seen = []
    for block in architecture_of(network).blocks(network):
        block.register_forward_hook(lambda _, inputs, output: seen.append((inputs, output)))
    with torch.no_grad():
        silenced(torch.arange(9)[None])
    for inputs, output in seen:
        after = output[0] if isinstance(output, tuple) else output
        torch.testing.assert_close(after, inputs[0], rtol=0, atol=0)


@pytest.mark.parametrize("chunks", [False, True])
def test_the_loss_and_its_gradient_are_those_of_its_own_logits(network, family, blocks, chunks, monkeypatch):
    if chunks:
        monkeypatch.setattr(task, "_LOGITS", 3000)
    way = block_attention(network, blocks.shape[1] - 1)
    assert (way == BLOCK_ATTENTION) == (family not in OWN_ATTENTION)
    with attention(network, way):
        loss = NextToken(network, "fp32")(blocks)[0]
        loss.backward()
    gradients = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    logits = network(input_ids=blocks[:, :-1]).logits
    model_loss = functional.cross_entropy(logits.flatten(0, 1), blocks[:, 1:].flatten())
    model_loss.backward()
    assert loss.item() == pytest.approx(model_loss.item(), rel=1e-5)
    for name, p in network.named_parameters():
        if p.grad is not None:
            scale = p.grad.abs().max().item()
            torch.testing.assert_close(gradients[name], p.grad, rtol=1e-3, atol=1e-4 * scale + 1e-8)
    for block in architecture_of(network).blocks(network):
        assert any(name for name, p in block.named_parameters() if p.grad.abs().max() > 0)


def test_what_is_stored_and_loaded_gives_the_same_logits(network, tokenizer, tmp_path):
    network.save_pretrained(tmp_path / "plain")
    tokenizer.save_pretrained(tmp_path / "plain")
    attached = ts.attach(tmp_path / "plain")
    ts.save(tmp_path / "saved", attached)
    loaded = ts.load(tmp_path / "saved")
    ids = torch.arange(30)[None]
    with torch.no_grad():
        for subject in (attached, loaded):
            torch.testing.assert_close(subject(ids), network(ids).logits, rtol=0, atol=0)
    assert loaded.topography.taps == attached.topography.taps


def test_what_it_can_read_is_known(network, family):
    limit = architecture_of(network).context(network.config)
    assert limit == (None if family == "bloom" else CONTEXT)
    with torch.no_grad():
        network(torch.zeros(1, limit or 2 * CONTEXT, dtype=torch.long))


def test_operations_count_what_is_multiplied_with(network):
    sizes = {name: p.numel() for name, p in network.named_parameters()}
    head = network.get_output_embeddings().weight.numel()
    in_blocks = sum(p.numel() for block in architecture_of(network).blocks(network) for p in block.parameters())
    flops = architecture_of(network).flops_per_token(network, 16)
    least = 6 * (in_blocks + head) + 12 * 2 * 16 * WIDTH
    assert least <= flops <= least + 6 * 8 * WIDTH + 6 * 300  # norms outside the blocks, the bias of the head
    assert flops < 6 * sum(sizes.values()) + 12 * 2 * 16 * WIDTH + 6 * head


def test_a_loss_that_is_not_the_models_own_shows(blocks, monkeypatch):
    gemma = random_model("gemma2")
    assert relative_loss_difference(gemma, 20) < 1e-5
    gemma.config.final_logit_softcapping, factor = None, gemma.config.final_logit_softcapping
    with torch.no_grad():
        gemma.lm_head.register_forward_hook(lambda _module, _inputs, logits: (logits / factor).tanh() * factor)
    assert relative_loss_difference(gemma, 20) > 1e-2
