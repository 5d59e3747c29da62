//! Networks, told on hosts made of network namespaces: this machine's own links and rules are never touched.

mod addresses;
mod beside;
mod bridge;
mod connect;
mod crash;
mod create;
mod files;
mod forwarding;
mod heal;
mod ipv6;
mod isolation;
mod kit;
mod links;
mod macvlan;
mod many;
mod names;
mod policy;
mod publish;
mod reach;
mod refusals;
mod shared;
mod support;
