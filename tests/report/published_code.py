"""TopoLM's published code, written again from its description, slowly: from texts to the numbers of a map."""

import numpy as np
import torch
from scipy.stats import ttest_ind
from tests.cortex.test_as_published import grown_clusters, published_morans_i, published_readout, welch_t

BATCH = 12  # texts, in the order of the table


def activations(subject, ids):
    """The activation of each unit at each position of each text of a batch: {tap: (texts, positions, units)}."""
    kept, hooks = {}, []
    for tap in subject.topography.taps:

        def keep(module, given, output, tap=tap):
            output = output[0] if isinstance(output, tuple) else output
            kept[tap] = output.detach().double().numpy()

        hooks.append(subject.model.get_submodule(tap).register_forward_hook(keep))
    with torch.no_grad():
        subject.model(input_ids=torch.tensor(ids))
    for hook in hooks:
        hook.remove()
    return kept


def responses(subject, texts, padded):
    """The mean activation over the positions of a text: (texts, units). If padded, over its padding too."""
    tokenizer, rows = subject.tokenizer, []
    token = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    tokens = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    n = BATCH if padded else 1
    for start in range(0, len(tokens), n):
        batch = tokens[start : start + n]
        longest = max(map(len, batch))
        kept = activations(subject, [ids + [token] * (longest - len(ids)) for ids in batch])
        rows.append(np.concatenate([kept[tap].mean(axis=1) for tap in subject.topography.taps], axis=1))
    return np.concatenate(rows)


def items(values, condition, name, groups):
    """The values of a condition: those of its texts, or the means of its groups of texts."""
    values = values[condition == name]
    if groups is None:
        return values
    groups = groups[condition == name]
    return np.array([values[groups == group].mean(axis=0) for group in dict.fromkeys(groups.tolist())])


def false_discovery_rates(p):
    """Benjamini & Hochberg: the smallest n p / rank of all p's that are at least as large."""
    ranked = np.argsort(p)
    q = len(p) * p[ranked] / np.arange(1, len(p) + 1)
    rates = np.empty(len(p))
    rates[ranked] = [q[i:].min() for i in range(len(p))]
    return np.minimum(rates, 1)


class PublishedCode:
    """The numbers of a contrast of two conditions, S and N. Each step of the published code can be left out."""

    def __init__(self, subject, stimuli, *, weights, raw_fwhm, contiguity, padded, groups):
        self.values = responses(subject, stimuli["text"], padded)
        self.condition = stimuli["condition"].to_numpy()
        self.groups = stimuli["shared_words"].to_numpy() if groups else None
        self.weights, self.raw_fwhm, self.contiguity = weights, raw_fwhm, contiguity
        coordinates = subject.topography.unit_coordinates()
        self.tap = np.asarray(coordinates["tap"][1])
        self.cells = np.column_stack([coordinates["y"][1], coordinates["x"][1]])

    def samples(self, fwhm):
        seen = self.values.copy()
        for tap in dict.fromkeys(self.tap.tolist()):
            units = self.tap == tap
            if fwhm:
                seen[:, units] = published_readout(self.values[:, units], self.cells[units], fwhm)
        return [items(seen, self.condition, name, self.groups) for name in "SN"]

    def t_and_q(self, fwhm):
        a, b = self.samples(fwhm)
        return welch_t(a, b), false_discovery_rates(ttest_ind(a, b, equal_var=False).pvalue)

    def of_taps(self):
        return [self.tap == tap for tap in dict.fromkeys(self.tap.tolist())]

    def morans_i(self, fwhm):
        t, _ = self.t_and_q(fwhm or self.raw_fwhm)
        return np.mean([published_morans_i(t[units], self.cells[units], self.weights) for units in self.of_taps()])

    def significant_fraction(self):
        return np.mean(self.t_and_q(self.raw_fwhm)[1] < 0.05)  # all taps have equally many units

    def network(self, min_size):
        """True for the units of the clusters of the map without readout."""
        t, q = self.t_and_q(0)
        inside = np.zeros(len(t), dtype=bool)
        for units in self.of_taps():
            grown = grown_clusters(t[units], q[units], self.cells[units], min_size, self.contiguity)
            inside[units] = grown > 0
        return inside


def published_profile(code, subject, stimuli, min_size):
    """The mean |response| of the network to each condition, with single texts: {condition: (texts,)}."""
    values = np.abs(responses(subject, stimuli["text"], padded=True)[:, code.network(min_size)]).mean(axis=1)
    condition = stimuli["condition"].to_numpy()
    return {name: values[condition == name] for name in "SWJN"}
