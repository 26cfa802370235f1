"""Subjects in lm-evaluation-harness: all its tasks run on them, with their interventions.

lm = HarnessModel(subject)                              # in Python, with every version of lm-eval
lm_eval.simple_evaluate(model=lm, tasks=["hellaswag"])

lm_eval --model toposheet --model_args pretrained=small --tasks hellaswag      # where lm-eval finds entry points
"""

from __future__ import annotations

import copy
from typing import Any

from toposheet.architectures.mode import in_mode
from toposheet.interventions.described import subject_of_arguments
from toposheet.packages import import_package
from toposheet.subject import Subject

_PURPOSE, _INSTALL = "lm-evaluation-harness needs", "toposheet[lm-eval]"
_HFLM: Any = import_package("lm_eval.models.huggingface", _PURPOSE, _INSTALL).HFLM
_registry: Any = import_package("lm_eval.api.registry", _PURPOSE, _INSTALL)


@_registry.register_model("toposheet")
class HarnessModel(_HFLM):
    """A subject as a model of lm-evaluation-harness. While requests are answered, its interventions act.

    It is the harness's own class for `transformers` models, so a subject without interventions gets exactly the numbers
    of `--model hf`.

    Args:
        pretrained: The subject. Or, from `--model_args`, a model folder, a hub id, or the name of a shipped model.
        device: The device on which a named model is opened. None: the CPU. A subject stays where it is.
        batch_size: Number of requests in one forward pass.
        options: Further arguments of `lm_eval.models.huggingface.HFLM`, such as `max_length`.

    Raises:
        UserError: The subject has no tokenizer, an argument is not known, or the model cannot be opened.
    """

    def __init__(
        self, pretrained: Subject | str, device: str | None = None, batch_size: int | str | None = 1, **options: Any
    ) -> None:
        self.subject = (
            pretrained if isinstance(pretrained, Subject) else subject_of_arguments(pretrained, device, options)
        )
        self.subject.check_tokenizer()
        tokenizer = copy.deepcopy(self.subject.tokenizer)  # the harness sets its padding
        with self.subject.running() as model, in_mode(model, training=False):
            super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size or 1, **options)

    def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> Any:
        """Return the log-probability of a continuation of each text, and whether it is the most probable one."""
        return self._answered("loglikelihood", requests, disable_tqdm)

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> Any:
        """Return the log-probability of each text."""
        return self._answered("loglikelihood_rolling", requests, disable_tqdm)

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> Any:
        """Return a continuation of each text, up to the words at which it must stop."""
        return self._answered("generate_until", requests, disable_tqdm)

    def _answered(self, method: str, requests: Any, disable_tqdm: bool) -> Any:
        with self.subject.running() as model, in_mode(model, training=False):
            return getattr(super(), method)(requests, disable_tqdm=disable_tqdm)
