from toposheet.architectures.architecture import Architecture, architecture_of

__all__ = ["Architecture", "architecture_of"]
