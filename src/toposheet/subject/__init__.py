from toposheet.subject.checkpoint import attach, load, save
from toposheet.subject.interventions import Effect, Intervention
from toposheet.subject.log_probabilities import score_requests
from toposheet.subject.requests import Request, TokenisedRequests, tokenise
from toposheet.subject.respond import respond
from toposheet.subject.score import score
from toposheet.subject.sinks import sinks
from toposheet.subject.subject import Subject
from toposheet.subject.tokens import read_tokenizer, token_counter

__all__ = [
    "Effect",
    "Intervention",
    "Request",
    "Subject",
    "TokenisedRequests",
    "attach",
    "load",
    "read_tokenizer",
    "respond",
    "save",
    "score",
    "score_requests",
    "sinks",
    "token_counter",
    "tokenise",
]
