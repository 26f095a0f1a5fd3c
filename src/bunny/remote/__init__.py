"""Films' workspaces on object storage: whole objects, manifests, leases."""
