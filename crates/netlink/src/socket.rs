//! A netlink socket: batches of requests out, acknowledgements and dumps in.
