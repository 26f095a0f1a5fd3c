"""The stage contract: fingerprints, shards, pools, the record of a run."""
