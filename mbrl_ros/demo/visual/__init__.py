"""The demo's visual scenario: from rendered images to commands, with a camera of unknown pose."""
