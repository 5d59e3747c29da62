//! Netlink messages: headers and attributes, written and read with bounds.
