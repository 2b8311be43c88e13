//! The generated messages of etcd. Nothing is written here by hand.

#![expect(clippy::all, clippy::pedantic, reason = "generated code follows its generator's style")]

include!(concat!(env!("OUT_DIR"), "/etcd.rs"));
