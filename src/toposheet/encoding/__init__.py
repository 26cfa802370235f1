from toposheet.encoding.encode import encode
from toposheet.encoding.recording import read_recording
from toposheet.encoding.result import Encoding
from toposheet.encoding.similarity import cka, rsa

__all__ = ["Encoding", "cka", "encode", "read_recording", "rsa"]
