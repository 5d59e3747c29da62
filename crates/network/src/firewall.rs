//! Our nf_tables tables: what may pass between containers, the host and the world.
