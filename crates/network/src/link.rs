//! Bridges, veth pairs and macvlan links, and what a container sees of them.
