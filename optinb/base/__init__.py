"""What everything else stands on: settings, files, logs, progress, and small words for people."""
