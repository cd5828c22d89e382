"""KubeVirt's admission: what it refuses, release by release, as tables; nothing here looks at anything but values."""
