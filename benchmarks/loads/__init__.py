"""The load generators: wrk, whose connections wait for each answer, and an open loop, which does not wait."""
