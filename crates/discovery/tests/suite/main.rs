//! Registries that speak their real protocols, and what is made of what they say.

mod consul;
mod consul_kv;
mod dns;
mod dnsmasq;
mod eureka;
mod kubernetes;
mod nacos;
mod support;
mod web;
