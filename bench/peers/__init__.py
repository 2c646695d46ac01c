"""What pydock is compared with: podman, and the same conmon and runtime driven directly."""
