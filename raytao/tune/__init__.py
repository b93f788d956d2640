"""The only folder that knows Ray: adapters, the trial actor, the launcher."""
