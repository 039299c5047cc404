"""asynctasks."""
