//! A range of addresses in CIDR notation.
