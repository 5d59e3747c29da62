//! Ports of the host that belong to a container.
