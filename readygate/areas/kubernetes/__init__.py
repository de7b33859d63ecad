"""Workloads of Kubernetes, in a cluster or in the manifests that make it."""
