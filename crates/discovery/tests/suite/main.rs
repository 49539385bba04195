//! Registries that speak their real protocols, and what is made of what they say.

mod consul;
mod dns;
mod dnsmasq;
mod support;
mod web;
