//! rtnetlink: links, addresses, routes and neighbours.
