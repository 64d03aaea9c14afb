"""A real Envoy sidecar and egress gateway on loopback addresses, and the access logs they write."""
