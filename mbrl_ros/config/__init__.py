"""Settings: their mechanism, their sections, files of parameters and the registry of plug-ins."""
