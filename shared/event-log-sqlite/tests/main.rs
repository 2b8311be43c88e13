//! The log in an SQLite file: the suite of properties, and what is this store's own.

mod suite;
