from toposheet.subject.checkpoint import attach, load, save
from toposheet.subject.interventions import Effect, Intervention
from toposheet.subject.respond import respond
from toposheet.subject.sinks import sinks
from toposheet.subject.subject import Subject
from toposheet.subject.tokens import read_tokenizer, token_counter

__all__ = [
    "Effect",
    "Intervention",
    "Subject",
    "attach",
    "load",
    "read_tokenizer",
    "respond",
    "save",
    "sinks",
    "token_counter",
]
