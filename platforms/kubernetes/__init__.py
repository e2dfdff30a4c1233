"""The Kubernetes platform: controllers, Services and policies, derived from what a workload asks for.

Every manifest is a plain dict in Kubernetes' own spelling, made by a pure function; `objects.Maker` turns it into a
resource, and `platform.KubernetesPlatform` decides which of them a workload needs, and in which order.
"""
