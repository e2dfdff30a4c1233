"""The numbers that loads, faults, changes and alerts are judged by."""
