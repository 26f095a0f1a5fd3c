"""Stage contract: fingerprints, shards, worker pools, the record of a run."""
