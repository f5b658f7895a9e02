"""The process that holds torch. Nothing here is imported by funcforge's own process."""
