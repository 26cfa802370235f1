from toposheet.subject.checkpoint import attach, load, save
from toposheet.subject.folders import check_model_folder, local_folder, name_of, shipped
from toposheet.subject.interventions import Effect, Intervention
from toposheet.subject.respond import respond
from toposheet.subject.subject import Subject
from toposheet.subject.tokens import read_tokenizer, token_counter

__all__ = [
    "Effect",
    "Intervention",
    "Subject",
    "attach",
    "check_model_folder",
    "load",
    "local_folder",
    "name_of",
    "read_tokenizer",
    "respond",
    "save",
    "shipped",
    "token_counter",
]
