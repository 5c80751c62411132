"""The backend `trl`: TRL's trainers on this machine."""
